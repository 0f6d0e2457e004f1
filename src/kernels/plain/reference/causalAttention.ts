import type { ReferenceArrays } from '../../../gpu/declaration.ts';
import type { Symbols } from '../../../gpu/shapes.ts';
import { attend } from './attend.ts';

/** Every query head of every token attends to the keys 0 … start + token of its group's key head. */
export function causalAttentionReference(
  { qkv, kCache, vCache, start }: ReferenceArrays,
  { tokens = 1, qkvDim, kvHeads, context, headDim }: Symbols,
) {
  const heads = qkvDim / headDim - 2 * kvHeads;
  const out = new Float64Array(tokens * heads * headDim);
  for (let token = 0; token < tokens; token++) {
    for (let head = 0; head < heads; head++) {
      const cacheStart = Math.floor(head / (heads / kvHeads)) * context * headDim;
      const query = qkv.subarray(token * qkvDim + head * headDim, token * qkvDim + (head + 1) * headDim);
      const row = attend(
        query,
        start[0] + token + 1,
        (key, i) => kCache[cacheStart + key * headDim + i],
        (key, i) => vCache[cacheStart + key * headDim + i],
      );
      out.set(row, (token * heads + head) * headDim);
    }
  }
  return { out };
}
