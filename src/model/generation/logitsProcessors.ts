/** The processors that change logits before a token is chosen (penalties, minimum length, repeated n-grams), with their state. */

import type { CopyRange } from '../../gpu/copyRanges.ts';
import type { Pass } from '../../gpu/pass.ts';
import { freeTensors, type Tensor, upload, writePiece, zeros } from '../../gpu/tensor.ts';
import { END_TOKEN, IN_PROMPT } from '../../kernels/choose/penalizeLogits.ts';
import type { ModelParts } from '../graph/modelParts.ts';

export interface ProcessorOptions {
  /** For tokens in the prompt or the answer: positive logits are divided by it, negative ones multiplied. 1: off. */
  readonly repetitionPenalty: number;
  /** Subtracted from the logit of each token in the answer. 0: off. */
  readonly presencePenalty: number;
  /** Subtracted once for each occurrence of the token in the answer. 0: off. */
  readonly frequencyPenalty: number;
  /** No n-gram of this length may occur twice in prompt and answer. 0: off. */
  readonly noRepeatNgramSize: number;
  /** No end token before prompt and answer together have this many tokens. 0: off. */
  readonly minLength: number;
}

/**
 * The processors of one sequence, in the order of transformers, with their state on the GPU.
 *
 * Follows: transformers 4.49, generation/utils.py, _get_logits_processor
 */
export class LogitsProcessors {
  /** [1] u32: number of prompt and answer tokens before the next one. */
  readonly length: Tensor;
  readonly #model: ModelParts;
  readonly #options: ProcessorOptions;
  readonly #promptLength: number;
  /** [vocabSize] u32, the state of each token (see penalizeLogits.wgsl); null if no processor is on. */
  readonly #tokenState: Tensor | null;
  readonly #history: Tensor | null; // [context] u32

  constructor(
    model: ModelParts,
    options: ProcessorOptions,
    prompt: {
      readonly inputIds: readonly number[];
      readonly context: number;
      readonly endTokens: readonly number[];
    },
  ) {
    const { gpu, config } = model;
    const { inputIds, context, endTokens } = prompt;
    this.#model = model;
    this.#options = options;
    this.#promptLength = inputIds.length;
    this.length = zeros(gpu, 'u32', [1], 'length');
    if (!isOn(options, inputIds.length)) {
      this.#tokenState = null;
      this.#history = null;
      return;
    }
    const state = new Uint32Array(config.llm.vocabSize);
    for (const id of inputIds) if (id < state.length) state[id] |= IN_PROMPT;
    for (const id of endTokens) if (id < state.length) state[id] |= END_TOKEN;
    this.#tokenState = upload(gpu, state, [state.length], 'token state');
    const history = new Uint32Array(context);
    history.set(inputIds);
    this.#history = upload(gpu, history, [context], 'history');
  }

  /** Records the active processors, in place on `logits` [1, vocabSize] f32; `token` [1] u32 is the last chosen token. */
  record(pass: Pass, logits: Tensor, token: Tensor): void {
    if (this.#tokenState === null || this.#history === null) return;
    const { kernels } = this.#model;
    const { noRepeatNgramSize, ...penalties } = this.#options;
    const { length } = this;
    const history = this.#history;
    kernels.penalizeLogits(
      pass,
      { logits, tokenState: this.#tokenState, history, token, length },
      { ...penalties, promptLength: this.#promptLength },
    );
    if (noRepeatNgramSize > 0) {
      kernels.banNgrams(pass, { logits, history, length }, { ngramSize: noRepeatNgramSize });
    }
  }

  /** Sets the number of tokens before the next one. */
  setLength(length: number): void {
    writePiece(this.#model.gpu, this.length.pieces[0], 0, new Uint8Array(Uint32Array.of(length).buffer));
  }

  /** The copies that give `other` the state of this one. */
  *copiesTo(other: LogitsProcessors): Generator<CopyRange> {
    if (this.#tokenState === null || this.#history === null) return;
    const pairs = [
      [this.#tokenState, other.#tokenState],
      [this.#history, other.#history],
    ] as const;
    for (const [from, to] of pairs) {
      yield { from, to: to as Tensor, byteOffset: 0, bytes: 4 * from.shape[0] };
    }
  }

  async destroy(): Promise<void> {
    const state = [this.#tokenState, this.#history].filter((tensor) => tensor !== null);
    await freeTensors(this.#model.gpu, [this.length, ...state]);
  }
}

function isOn(options: ProcessorOptions, promptLength: number): boolean {
  const { repetitionPenalty, presencePenalty, frequencyPenalty, noRepeatNgramSize, minLength } = options;
  const penalises = repetitionPenalty !== 1 || presencePenalty !== 0 || frequencyPenalty !== 0;
  return penalises || noRepeatNgramSize > 0 || minLength > promptLength;
}
