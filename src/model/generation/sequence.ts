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
/** Decode steps that one wait may bring the tokens of. */
export const MAX_STEPS = 64;

export interface SequenceOptions {
  /** Tokens that the cache has room for. */
  readonly context: number;
  readonly positions: Positions;
  readonly videoRope?: 'sections' | 'swapped';
  /** One for `context` tokens that has got `positions` and outlives the sequence; default: one of its own. */
  readonly cache?: KvCache;
  /** Default: the token with the largest logit. */
  readonly chooser?: TokenChooser;
  /** Called between the chooser's two halves. */
  readonly changeLogits?: ChangeLogits;
  readonly tap?: TapListener;
  /** Gets the passes of the prompt, each when it has run: running it again gives the same. The decode pass: see `showDecode`. */
  readonly onPass?: PassListener;
  /**
   * Tokens of the prompt that go through the decoder in one submit: bounds scratch memory and the time of a submit.
   * Default 512; the whole prompt when somebody listens to taps, so that each stage is seen once.
   */
  readonly prefillChunk?: number;
}

export interface PrefillOptions {
  readonly signal?: AbortSignal;
  /** Called after each part of the prompt with the tokens done so far. */
  readonly onProgress?: (tokensDone: number) => void;
  /** See `embedPrompt`. */
  readonly featureOrder?: Uint32Array;
  readonly features?: readonly Tensor[];
  /** Tokens at the beginning of the prompt whose keys and values the cache holds: they are not computed again. Default 0. */
  readonly reuse?: number;
}

export class Sequence {
  readonly cache: KvCache;
  /** [1] u32: the token that was chosen last; the next step's embedding reads it. */
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
  /** Of the token and of the chooser's reports. */
  #chosen: readonly ReadBack[] = [];
  #length = 0;
  #last = NO_TOKEN;

  constructor(model: ModelParts, options: SequenceOptions) {
    const { context, positions, videoRope = 'sections' } = options;
    if (videoRope === 'swapped' && model.config.llm.rope !== 'video_rope') {
      throw new InputError(
        'INPUT_RANGE',
        `videoRope is 'swapped', the checkpoint has ${model.config.llm.rope}`,
        {
          field: 'videoRope',
          hint: 'the second layout belongs to video_rope: leave the option out',
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
   * @param images those whose patch tokens stand behind the first `reuse` tokens
   * @throws the signal's reason; GenerationError GEN_NONFINITE; GpuError
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
   * Feeds the token that was chosen last and chooses the next one, `steps` times, and waits once. One submit a step; four bytes
   * a step come back, and the chooser's reports.
   *
   * @param steps 1 to 64; the cache must have room for them. One, where somebody changes the logits
   * @throws GenerationError GEN_NONFINITE; GpuError
   */
  async decode(steps = 1): Promise<ChosenToken[]> {
    this.#decode ??= this.#recordDecode();
    for (let step = 0; step < steps; step++) {
      this.setStart(this.#length++);
      await this.#decode.submit(); // each writes the token that the next one reads
    }
    await this.#hook?.run();
    return this.#readChosen(`token ${this.#length}`);
  }

  /**
   * Greedy decoding with a guess of what comes: feeds the token that was chosen last and `draft` behind it, in one pass.
   *
   * @param draft 1 to 7 tokens; only where `canVerify` says that the cache has room
   * @returns the tokens of the draft that were right, and the one that follows them
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

  /** Shows the decode pass to `onPass`. Last of all: run again, it feeds the token that it chose. */
  async showDecode(): Promise<void> {
    if (this.#decode) await this.#onPass?.(this.#decode);
  }

  /** Whether the cache has room for what `verify` feeds. */
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
   * Tokens start … end - 1 of the prompt; the last of all is the one that an answer token is chosen from.
   * `embeds` begins at token `reuse`.
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

  /** Records one step into `pass`: embeds the token chosen last, runs all layers at `cache.start`, chooses the next token. */
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

  /** The tokens of all steps since it was called last. */
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
      hint: 'check the weights with verifyWeights(); a kernel of your own may produce NaN',
    });
  }
}
