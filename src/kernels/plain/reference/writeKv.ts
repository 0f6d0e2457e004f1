import type { ReferenceArrays } from '../../../gpu/declaration.ts';
import type { Symbols } from '../../../gpu/shapes.ts';

/** kCache[kvHead, start + token, :] = the token's key head, vCache likewise; the other positions stay. */
export function writeKvReference(
  { qkv, start, kCache, vCache }: ReferenceArrays,
  { tokens, qkvDim, kvHeads, context, headDim }: Symbols,
) {
  const keys = kCache.slice();
  const values = vCache.slice();
  for (let token = 0; token < tokens; token++) {
    for (let kvHead = 0; kvHead < kvHeads; kvHead++) {
      for (let i = 0; i < headDim; i++) {
        const keyIndex = (token + 1) * qkvDim - 2 * kvHeads * headDim + kvHead * headDim + i;
        const cacheIndex = (kvHead * context + start[0] + token) * headDim + i;
        keys[cacheIndex] = qkv[keyIndex];
        values[cacheIndex] = qkv[keyIndex + kvHeads * headDim];
      }
    }
  }
  return { kCache: keys, vCache: values };
}
