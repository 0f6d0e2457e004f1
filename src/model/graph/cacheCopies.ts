import type { CopyRange } from '../../gpu/copyRanges.ts';
import type { KvCache } from './kvCache.ts';

/** The copies that bring the first `tokens` keys and values of a cache into another of the same context. */
export function* cacheCopies(from: KvCache, to: KvCache, tokens: number): Generator<CopyRange> {
  for (const [layer, { k, v }] of from.layers.entries()) {
    const [kvHeads, context, headDim] = k.shape;
    for (let head = 0; head < kvHeads; head++) {
      const range = { byteOffset: 4 * head * context * headDim, bytes: 4 * tokens * headDim };
      yield { from: k, to: to.layers[layer].k, ...range };
      yield { from: v, to: to.layers[layer].v, ...range };
    }
  }
}
