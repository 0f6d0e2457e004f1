/** Verifies drafts: one decoder pass over several guessed tokens gives the token that greedy decoding chooses after each. */
import { Pass, type ReadBack } from '../../gpu/pass.ts';
import { freeTensors, type Tensor, upload, writePiece, zeros } from '../../gpu/tensor.ts';
import { decoderLayers, tokenLogits } from '../graph/decoder.ts';
import { embedTokens } from '../graph/embedTokens.ts';
import type { KvCache } from '../graph/kvCache.ts';
import { FEW_ROWS } from '../graph/linear.ts';
import type { ModelParts } from '../graph/modelParts.ts';

interface Recorded {
  readonly pass: Pass;
  readonly ids: Tensor; // [FEW_ROWS] u32
  readonly rows: Tensor; // [FEW_ROWS] u32: 0, 1, 2, …
  readonly chosen: ReadBack; // [FEW_ROWS] u32
}

export class DraftVerifier {
  readonly #model: ModelParts;
  readonly #cache: KvCache;
  #recorded: Recorded | null = null;

  constructor(model: ModelParts, cache: KvCache) {
    this.#model = model;
    this.#cache = cache;
  }

  /**
   * Feeds `tokens` (at most 8) at the cache's `start`. The cache must have room for 8: fewer tokens are padded, and later tokens
   * overwrite the padding's keys and values.
   *
   * @returns [tokens] u32, the token with the largest logit after each; NO_TOKEN if no logit is finite
   * @throws KernelError; GpuError
   */
  async choices(tokens: readonly number[]): Promise<Uint32Array> {
    this.#recorded ??= this.#record();
    const { pass, ids, chosen } = this.#recorded;
    const padded = new Uint32Array(FEW_ROWS);
    padded.set(tokens);
    writePiece(this.#model.gpu, ids.pieces[0], 0, new Uint8Array(padded.buffer));
    await pass.submit();
    return ((await chosen.read()) as Uint32Array).subarray(0, tokens.length);
  }

  async destroy(): Promise<void> {
    if (this.#recorded === null) return;
    const { pass, ids, rows } = this.#recorded;
    await pass.destroy();
    await freeTensors(this.#model.gpu, [ids, rows]);
  }

  #record(): Recorded {
    const { gpu, kernels } = this.#model;
    const ids = zeros(gpu, 'u32', [FEW_ROWS], 'draft');
    const counted = Uint32Array.from({ length: FEW_ROWS }, (_, row) => row);
    const rows = upload(gpu, counted, [FEW_ROWS], 'draft rows');
    const pass = new Pass(gpu, 'verify');
    const hidden = embedTokens(pass, this.#model, ids, []); // [FEW_ROWS, hiddenSize]
    decoderLayers(pass, this.#model, hidden, this.#cache);
    const logits = tokenLogits(pass, this.#model, hidden, rows); // [FEW_ROWS, vocabSize]
    const chosen = pass.readBack(kernels.argmax(pass, { logits }));
    return { pass, ids, rows, chosen };
  }
}
