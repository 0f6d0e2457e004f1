/** One prompt and its continuation on the GPU: prefill once, then decode token by token. docs/MODEL.md, section 7. */
import { GenerationError, InputError } from '../../errors.ts';
import { Pass, type PassListener, type ReadBack, type TapListener } from '../../gpu/pass.ts';
import { freeTensors, readTensor, type Tensor, upload, writePiece, zeros } from '../../gpu/tensor.ts';
import { NO_TOKEN } from '../../kernels/choose/argmax.ts';
import type { PreprocessedImage } from '../../processor/patches.ts';
import { decoderLayers, tokenLogits } from '../graph/decoder.ts';
import { embedPrompt } from '../graph/embedPrompt.ts';
import { embedTokens } from '../graph/embedTokens.ts';
import { KvCache } from '../graph/kvCache.ts';
import { FEW_ROWS } from '../graph/linear.ts';
import type { ModelParts } from '../graph/modelParts.ts';
import type { Positions } from '../graph/positions.ts';
import { tapRotary } from '../graph/tapRotary.ts';
import { DraftVerifier } from './draftVerifier.ts';
import { type ChangeLogits, LogitsHook } from './logitsHook.ts';
import { type ChosenToken, largestLogit, type TokenChooser } from './tokenChooser.ts';

const PREFILL_CHUNK = 512;
/** Maximum number of decode steps in one wait. */
export const MAX_STEPS = 64;

export interface SequenceOptions {
  /** Size of the cache, in tokens. */
  readonly context: number;
  readonly positions: Positions;
  readonly videoRope?: 'sections' | 'swapped';
  /** An existing cache of `context` tokens whose positions are already set; `destroy` leaves it alone. Default: a new one. */
  readonly cache?: KvCache;
  /** Default: the token with the largest logit. */
  readonly chooser?: TokenChooser;
  /** Called with the logits between the chooser's `process` and `choose`. */
  readonly changeLogits?: ChangeLogits;
  readonly tap?: TapListener;
  /** Gets each pass of the prompt after it has run; running it again gives the same result. For the decode pass see `showDecode`. */
  readonly onPass?: PassListener;
  /**
   * Prompt tokens per decoder pass, to bound scratch memory. Default 512; with a tap listener the whole prompt, so that each stage
   * is tapped once.
   */
  readonly prefillChunk?: number;
}

export interface PrefillOptions {
  readonly signal?: AbortSignal;
  /** Called after each chunk of the prompt with the number of tokens done so far. */
  readonly onProgress?: (tokensDone: number) => void;
  /** See `EmbedOptions`. */
  readonly featureOrder?: Uint32Array;
  readonly features?: readonly Tensor[];
  /** Number of leading prompt tokens whose keys and values are already in the cache; they are not computed again. Default 0. */
  readonly reuse?: number;
}

/** One prompt and its continuation: a KV cache, the recorded decode pass and the last chosen token. */
export class Sequence {
  readonly cache: KvCache;
  /** [1] u32: the last chosen token, which the next step embeds. */
  readonly token: Tensor;
  readonly #model: ModelParts;
  readonly #tap: TapListener | undefined;
  readonly #onPass: PassListener | undefined;
  readonly #prefillChunkSize: number;
  readonly #chooser: TokenChooser;
  readonly #ownsCache: boolean;
  readonly #hook: LogitsHook | null;
  readonly #verifier: DraftVerifier;
  #decode: Pass | null = null;
  /** The read-backs of the token and of the chooser's reports. */
  #chosen: readonly ReadBack[] = [];
  #length = 0;
  #last = NO_TOKEN;

  /** @throws InputError INPUT_RANGE (`videoRope`); GpuError GPU_LIMIT, GPU_OUT_OF_MEMORY */
  constructor(model: ModelParts, options: SequenceOptions) {
    const { context, positions, videoRope = 'sections' } = options;
    if (videoRope === 'swapped' && model.config.llm.rope !== 'video_rope') {
      throw new InputError(
        'INPUT_RANGE',
        `videoRope is 'swapped', but the checkpoint uses ${model.config.llm.rope}`,
        {
          field: 'videoRope',
          hint: 'leave out the option: only video_rope has this layout',
        },
      );
    }
    this.#model = model;
    this.#tap = options.tap;
    this.#onPass = options.onPass;
    this.#chooser = options.chooser ?? largestLogit(model);
    this.#prefillChunkSize = options.prefillChunk ?? (options.tap ? Infinity : PREFILL_CHUNK);
    this.#ownsCache = options.cache === undefined;
    this.cache = options.cache ?? new KvCache(model.gpu, model.config.llm, context, positions, videoRope);
    this.token = zeros(model.gpu, 'u32', [1], 'token');
    this.#verifier = new DraftVerifier(model, this.cache);
    const { changeLogits } = options;
    this.#hook = changeLogits ? new LogitsHook(model, this.#chooser, this.token, changeLogits) : null;
    if (this.#hook) this.#chosen = this.#readBacks(this.#hook.pass, 1);
  }

  /**
   * Runs the prompt and chooses the first new token.
   *
   * @param inputIds [tokens] of the expanded prompt
   * @param images the images whose patch tokens come after the first `reuse` tokens
   * @throws the signal's reason; GenerationError GEN_NONFINITE; KernelError; GpuError
   */
  async prefill(
    inputIds: readonly number[],
    images: readonly PreprocessedImage[],
    { signal, onProgress, reuse = 0, ...embedOptions }: PrefillOptions = {},
  ): Promise<ChosenToken> {
    const { gpu } = this.#model;
    if (this.#tap) await tapRotary(this.#model, this.cache, inputIds.length, this.#tap);
    const newIds = inputIds.slice(reuse);
    const prompt = await embedPrompt(this.#model, newIds, images, {
      tap: this.#tap,
      onPass: this.#onPass,
      signal,
      ...embedOptions,
    });
    try {
      const tokens = inputIds.length;
      for (let start = reuse; start < tokens; start += this.#prefillChunkSize) {
        const end = Math.min(start + this.#prefillChunkSize, tokens);
        await this.#prefillChunk(prompt.embeds, reuse, start, end, signal);
        onProgress?.(end);
      }
      this.#length = tokens;
      if (this.#hook) return (await this.#readChosen('prefill'))[0];
      const [[id], ...reports] = await Promise.all(
        [this.token, ...(this.#chooser.reports ?? [])].map((tensor) => readTensor(gpu, tensor)),
      );
      this.#last = this.#checkToken(id, 'prefill');
      return { id, reports };
    } finally {
      await prompt.free();
    }
  }

  /**
   * Runs `steps` decode steps, each of which feeds the last chosen token and chooses the next, then waits once. There is one
   * submit per step. Only the token (4 bytes) and the chooser's reports are read back.
   *
   * @param steps 1 to 64, and always 1 with `changeLogits`; the cache must have room for them
   * @throws GenerationError GEN_NONFINITE; KernelError; GpuError; whatever `changeLogits` throws
   */
  async decode(steps = 1): Promise<ChosenToken[]> {
    this.#decode ??= this.#recordDecode();
    for (let step = 0; step < steps; step++) {
      this.setStart(this.#length++);
      await this.#decode.submit(); // writes the token that the next step reads
    }
    await this.#hook?.run();
    return this.#readChosen(`token ${this.#length}`);
  }

  /**
   * Greedy decoding of several tokens at once: verifies a guess of the next tokens in one pass.
   *
   * @param draft 1 to 7 tokens; requires `canVerify`
   * @returns the leading draft tokens that were right, then the token that greedy decoding chooses after them
   * @throws GenerationError GEN_NONFINITE; GpuError
   */
  async verify(draft: readonly number[]): Promise<number[]> {
    this.setStart(this.#length);
    const choices = await this.#verifier.choices([this.#last, ...draft]);
    const wrong = draft.findIndex((token, i) => token !== choices[i]);
    const tokens = [...choices.subarray(0, (wrong < 0 ? draft.length : wrong) + 1)];
    this.#length += tokens.length;
    this.#last = this.#checkToken(tokens[tokens.length - 1], `token ${this.#length}`);
    writePiece(this.#model.gpu, this.token.pieces[0], 0, new Uint8Array(Uint32Array.of(this.#last).buffer));
    return tokens;
  }

  /** Gives the decode pass to `onPass`. Call it last: if the pass runs again, it advances to the next token. */
  async showDecode(): Promise<void> {
    if (this.#decode) await this.#onPass?.(this.#decode);
  }

  /** Whether the cache has room for `verify`. */
  get canVerify(): boolean {
    return this.#length + FEW_ROWS <= this.cache.context;
  }

  /** Sets the cache index of the token that the next step feeds. */
  setStart(index: number): void {
    this.cache.setStart(index);
    this.#chooser.setLength(index + 1);
  }

  async destroy(): Promise<void> {
    await this.#decode?.destroy();
    await this.#verifier.destroy();
    await this.#hook?.destroy();
    await this.#chooser.destroy();
    if (this.#ownsCache) await this.cache.destroy();
    await freeTensors(this.#model.gpu, [this.token]);
  }

  /**
   * Runs tokens start … end - 1 of the prompt. The last chunk chooses the first answer token. `embeds` begins at token `reuse`.
   */
  async #prefillChunk(
    embeds: Tensor,
    reuse: number,
    start: number,
    end: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { gpu, kernels } = this.#model;
    const tokens = end - start;
    const pass = new Pass(gpu, `prefill ${start}`, this.#tap);
    const rows = upload(
      gpu,
      Uint32Array.from({ length: tokens }, (_, i) => start - reuse + i),
      [tokens],
      'chunk rows',
    );
    const lastRow = upload(gpu, Uint32Array.of(tokens - 1), [1], 'last row');
    try {
      const hidden = kernels.gatherRows(pass, { x: embeds, index: rows }); // [tokens, hiddenSize]
      const cache = this.cache.upTo(end);
      decoderLayers(pass, this.#model, hidden, cache);
      const isLast = end - reuse === embeds.shape[0];
      if (isLast) {
        const logits = tokenLogits(pass, this.#model, hidden, lastRow); // [1, vocabSize]
        this.#recordChoice(pass, logits);
      }
      this.cache.setStart(start);
      this.#chooser.setLength(end);
      await pass.run(signal);
      await this.#onPass?.(pass);
      if (isLast) await this.#hook?.run();
    } finally {
      await pass.destroy();
      await freeTensors(gpu, [rows, lastRow]);
    }
  }

  /** Records one decode step: embeds the last chosen token, runs all layers at `cache.start`, chooses the next token. */
  recordStep(pass: Pass): void {
    const hidden = embedTokens(pass, this.#model, this.token, []); // [1, hiddenSize]
    decoderLayers(pass, this.#model, hidden, this.cache);
    const logits = tokenLogits(pass, this.#model, hidden, null); // [1, vocabSize]
    this.#recordChoice(pass, logits);
  }

  #recordDecode(): Pass {
    const pass = new Pass(this.#model.gpu, 'decode', this.#tap);
    this.recordStep(pass);
    if (!this.#hook) this.#chosen = this.#readBacks(pass, MAX_STEPS);
    return pass;
  }

  #recordChoice(pass: Pass, logits: Tensor): void {
    this.#chooser.process(pass, logits, this.token);
    if (this.#hook) this.#hook.record(pass, logits);
    else this.#chooser.choose(pass, logits, this.token);
  }

  #readBacks(pass: Pass, maxSteps: number): ReadBack[] {
    return [this.token, ...(this.#chooser.reports ?? [])].map((tensor) => pass.readBack(tensor, maxSteps));
  }

  /** The tokens of all steps since the last call. */
  async #readChosen(step: string): Promise<ChosenToken[]> {
    const [ids, ...reports] = await Promise.all(this.#chosen.map((readBack) => readBack.read()));
    const tokens = Array.from(ids, (id, i) => ({
      id: this.#checkToken(id, step),
      reports: reports.map((values) => {
        const size = values.length / ids.length;
        return values.subarray(i * size, (i + 1) * size);
      }),
    }));
    this.#last = ids[ids.length - 1];
    return tokens;
  }

  #checkToken(token: number, step: string): number {
    if (token !== NO_TOKEN) return token;
    throw new GenerationError('GEN_NONFINITE', `${step}: no logit is finite`, {
      hint: 'check the weights with verifyWeights(), and any kernel of your own with checkKernel()',
    });
  }
}
