/** One prompt and its continuation on the GPU: prefill once, then decode token by token. docs/MODEL.md, section 7. */
import { GenerationError, InputError } from '../errors.ts';
import type { Gpu } from '../gpu/device.ts';
import { Pass, type ReadBack, type TapListener } from '../gpu/pass.ts';
import { freeTensors, readTensor, type Tensor, upload, zeros } from '../gpu/tensor.ts';
import { NO_TOKEN } from '../kernels/argmax.ts';
import type { KernelSet } from '../kernels/index.ts';
import type { PreprocessedImage } from '../processor/patches.ts';
import type { ModelConfig } from './config.ts';
import { decoderLayers, embedTokens, tokenLogits } from './decoder.ts';
import { embedPrompt } from './embedPrompt.ts';
import { KvCache } from './kvCache.ts';
import type { Positions } from './positions.ts';
import type { ModelWeights } from './weights.ts';

const PREFILL_CHUNK = 512;

/** What every sequence of a model shares. */
export interface ModelParts {
  readonly gpu: Gpu;
  readonly kernels: KernelSet;
  readonly config: ModelConfig;
  readonly weights: ModelWeights;
}

/** How the next token follows from the logits. */
export interface TokenChooser {
  /** Records the kernels: `logits` [1, vocabSize] f32, which they may change; writes the token's id into `token` [1] u32. */
  record(pass: Pass, logits: Tensor, token: Tensor): void;
  /** Called before each run with the number of tokens that stand before the one to be chosen. */
  setLength(length: number): void;
  destroy(): Promise<void>;
}

export interface SequenceOptions {
  /** Tokens that the cache has room for. */
  readonly context: number;
  readonly positions: Positions;
  readonly videoRope?: 'sections' | 'swapped';
  /** One for `context` tokens that has got `positions` and outlives the sequence; default: one of its own. */
  readonly cache?: KvCache;
  /** Default: the token with the largest logit. */
  readonly chooser?: TokenChooser;
  readonly tap?: TapListener;
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
  readonly #prefillChunkSize: number;
  readonly #chooser: TokenChooser;
  readonly #ownsCache: boolean;
  /** [1] u32: 0, the row that a decode step takes its logits from. */
  readonly #onlyRow: Tensor;
  #decode: { readonly pass: Pass; readonly chosen: ReadBack } | null = null;
  #length = 0;

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
    this.#chooser = options.chooser ?? largestLogit(model);
    this.#prefillChunkSize = options.prefillChunk ?? (options.tap ? Infinity : PREFILL_CHUNK);
    this.#ownsCache = options.cache === undefined;
    this.cache = options.cache ?? new KvCache(model.gpu, model.config.llm, context, positions, videoRope);
    this.token = zeros(model.gpu, 'u32', [1], 'token');
    this.#onlyRow = zeros(model.gpu, 'u32', [1], 'only row');
  }

  /**
   * Runs the prompt and chooses the first new token.
   *
   * @param inputIds [tokens] of the expanded prompt
   * @param images those whose patch tokens stand behind the first `reuse` tokens
   * @returns the token with the largest logit
   * @throws GenerationError GEN_NONFINITE; GpuError
   */
  async prefill(
    inputIds: readonly number[],
    images: readonly PreprocessedImage[],
    { signal, onProgress, reuse = 0, ...embedOptions }: PrefillOptions = {},
  ): Promise<number> {
    const { gpu } = this.#model;
    await this.#tapRotary(inputIds.length);
    const newIds = inputIds.slice(reuse);
    const prompt = await embedPrompt(this.#model, newIds, images, { tap: this.#tap, ...embedOptions });
    try {
      const tokens = inputIds.length;
      for (let start = reuse; start < tokens; start += this.#prefillChunkSize) {
        signal?.throwIfAborted();
        const end = Math.min(start + this.#prefillChunkSize, tokens);
        await this.#prefillChunk(prompt.embeds, reuse, start, end);
        onProgress?.(end);
      }
      this.#length = tokens;
      const [chosen] = (await readTensor(gpu, this.token)) as Uint32Array;
      return this.#checkToken(chosen, 'prefill');
    } finally {
      await prompt.free();
    }
  }

  /**
   * Feeds the token that was chosen last and chooses the next one. One submit; four bytes come back.
   *
   * @throws GenerationError GEN_NONFINITE; GpuError
   */
  async decode(): Promise<number> {
    this.#decode ??= this.#recordDecode();
    this.setStart(this.#length);
    await this.#decode.pass.submit();
    const [chosen] = await this.#decode.chosen.read();
    this.#length++;
    return this.#checkToken(chosen, `token ${this.#length}`);
  }

  /** Sets the cache index of the token that the next step feeds. */
  setStart(index: number): void {
    this.cache.setStart(index);
    this.#chooser.setLength(index + 1);
  }

  async destroy(): Promise<void> {
    await this.#decode?.pass.destroy();
    await this.#chooser.destroy();
    if (this.#ownsCache) await this.cache.destroy();
    await freeTensors(this.#model.gpu, [this.token, this.#onlyRow]);
  }

  /**
   * Tokens start … end - 1 of the prompt; the last of all is the one that an answer token is chosen from.
   * `embeds` begins at token `reuse`.
   */
  async #prefillChunk(embeds: Tensor, reuse: number, start: number, end: number): Promise<void> {
    const { gpu, kernels, weights, config } = this.#model;
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
      decoderLayers(pass, kernels, weights.decoder, config.llm, hidden, this.cache);
      if (end - reuse === embeds.shape[0]) {
        const logits = tokenLogits(pass, kernels, weights.decoder, config.llm, hidden, lastRow); // [1, vocabSize]
        this.#chooser.record(pass, logits, this.token);
      }
      this.cache.setStart(start);
      this.#chooser.setLength(end);
      await pass.submit();
      await gpu.idle();
    } finally {
      await pass.destroy();
      await freeTensors(gpu, [rows, lastRow]);
    }
  }

  /** Records one step into `pass`: embeds the token chosen last, runs all layers at `cache.start`, chooses the next token. */
  recordStep(pass: Pass): void {
    const { kernels, weights, config } = this.#model;
    const hidden = embedTokens(pass, kernels, weights.decoder, this.token, []); // [1, hiddenSize]
    decoderLayers(pass, kernels, weights.decoder, config.llm, hidden, this.cache);
    const logits = tokenLogits(pass, kernels, weights.decoder, config.llm, hidden, this.#onlyRow); // [1, vocabSize]
    this.#chooser.record(pass, logits, this.token);
  }

  #recordDecode() {
    const pass = new Pass(this.#model.gpu, 'decode', this.#tap);
    this.recordStep(pass);
    return { pass, chosen: pass.readBack(this.token) };
  }

  /** The prompt's cosines and sines on each axis, as the published code makes them: [3, tokens, headDim / 2]. */
  async #tapRotary(tokens: number): Promise<void> {
    if (!this.#tap) return;
    const { headDim, rope } = this.#model.config.llm;
    const { table, positionIds, context } = this.cache;
    const axes = rope === 'none' ? 1 : 3;
    const shape = axes === 1 ? [tokens, headDim / 2] : [axes, tokens, headDim / 2];
    const rowsOf = (values: Float32Array) => {
      const rows = new Float32Array((axes * tokens * headDim) / 2);
      for (let axis = 0; axis < axes; axis++) {
        for (let token = 0; token < tokens; token++) {
          const from = ((positionIds[axis * context + token] - table.firstPosition) * headDim) / 2;
          rows.set(values.subarray(from, from + headDim / 2), ((axis * tokens + token) * headDim) / 2);
        }
      }
      return rows;
    };
    const pass = new Pass(this.#model.gpu, 'rotary', this.#tap);
    pass.tapArray('llm.rotary_cos', () => rowsOf(table.cos), shape);
    pass.tapArray('llm.rotary_sin', () => rowsOf(table.sin), shape);
    await pass.submit();
    await pass.destroy();
  }

  #checkToken(token: number, step: string): number {
    if (token !== NO_TOKEN) return token;
    throw new GenerationError('GEN_NONFINITE', `${step}: no logit is finite`, {
      hint: 'check the weights with verifyWeights(); a kernel of your own may produce NaN',
    });
  }
}

/** Greedy: the token with the largest logit, of equal ones the lowest id. */
function largestLogit({ kernels }: ModelParts): TokenChooser {
  return {
    record: (pass, logits, token) => void kernels.argmax(pass, { logits, out: token }),
    setLength() {},
    async destroy() {},
  };
}
