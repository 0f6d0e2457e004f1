/** Several guessed tokens in one pass of the decoder: what would greedy decoding have chosen behind each? */
import { Pass, type ReadBack } from '../gpu/pass.ts';
import { freeTensors, type Tensor, upload, writePiece, zeros } from '../gpu/tensor.ts';
import { decoderLayers, embedTokens, tokenLogits } from './decoder.ts';
import type { KvCache } from './kvCache.ts';
import type { ModelParts } from './sequence.ts';

/** Tokens that a pass feeds: matmul takes rows by fours, so between these sizes nothing would be saved. */
export const VERIFIED_ROWS = [4, 8] as const;

interface Recorded {
  readonly pass: Pass;
  readonly ids: Tensor; // [rows] u32
  readonly rows: Tensor; // [rows] u32: 0, 1, 2, …
  readonly chosen: ReadBack; // [rows] u32
}

export class DraftVerifier {
  readonly #model: ModelParts;
  readonly #cache: KvCache;
  readonly #recorded = new Map<number, Recorded>();

  constructor(model: ModelParts, cache: KvCache) {
    this.#model = model;
    this.#cache = cache;
  }

  /**
   * Feeds `tokens`, at most 8, at the cache's `start`. Where they are fewer than a pass feeds, what stands behind them in the
   * cache is overwritten by the tokens that come there later.
   *
   * @returns [tokens] the token with the largest logit behind each; NO_TOKEN where none is finite
   * @throws GpuError
   */
  async choices(tokens: readonly number[]): Promise<Uint32Array> {
    const size = VERIFIED_ROWS.find((rows) => rows >= tokens.length) as number;
    const recorded = this.#recorded.get(size) ?? this.#record(size);
    this.#recorded.set(size, recorded);
    const padded = new Uint32Array(size);
    padded.set(tokens);
    writePiece(this.#model.gpu, recorded.ids.pieces[0], 0, new Uint8Array(padded.buffer));
    await recorded.pass.submit();
    return ((await recorded.chosen.read()) as Uint32Array).subarray(0, tokens.length);
  }

  async destroy(): Promise<void> {
    for (const { pass, ids, rows } of this.#recorded.values()) {
      await pass.destroy();
      await freeTensors(this.#model.gpu, [ids, rows]);
    }
  }

  #record(size: number): Recorded {
    const { gpu, kernels, weights, config } = this.#model;
    const ids = zeros(gpu, 'u32', [size], 'draft');
    const rows = upload(
      gpu,
      Uint32Array.from({ length: size }, (_, row) => row),
      [size],
      'draft rows',
    );
    const pass = new Pass(gpu, `verify ${size}`);
    const hidden = embedTokens(pass, kernels, weights.decoder, ids, []); // [size, hiddenSize]
    decoderLayers(pass, kernels, weights.decoder, config.llm, hidden, this.#cache);
    const logits = tokenLogits(pass, kernels, weights.decoder, config.llm, hidden, rows); // [size, vocabSize]
    const chosen = pass.readBack(kernels.argmax(pass, { logits }));
    return { pass, ids, rows, chosen };
  }
}
