import type { ReferenceArrays } from '../../../../gpu/declaration.ts';
import type { Symbols } from '../../../../gpu/shapes.ts';

/**
 * Query · key / sqrt(headDim) in blocks of four rows and four keys, each of them whole, up to the block with the last key of
 * its rows; the rest of `scores` stays. Rows past the edge are the last one again.
 */
export function attentionScoresReference(
  { qkv, kCache, start, scores: before }: ReferenceArrays,
  { firstToken, queries, qkvDim, kvHeads, context, keys, headDim }: Symbols,
) {
  const group = (qkvDim / headDim - 2 * kvHeads) / kvHeads; // query heads per key head
  const rows = queries * group;
  const rowBlocks = Math.ceil(rows / 4);
  const scores = before.slice();
  for (let kvHead = 0; kvHead < kvHeads; kvHead++) {
    for (let place = 0; place < 4 * rowBlocks; place++) {
      const row = Math.min(place, rows - 1);
      const lastRow = Math.min(4 * Math.floor(place / 4) + 3, rows - 1); // of the block
      const keyCount = start[0] + firstToken + Math.floor(lastRow / group) + 1;
      const token = firstToken + Math.floor(row / group);
      const queryStart = token * qkvDim + (kvHead * group + (row % group)) * headDim;
      for (let key = 0; key < Math.min(4 * Math.ceil(keyCount / 4), keys); key++) {
        const keyStart = (kvHead * context + key) * headDim;
        let dot = 0;
        for (let i = 0; i < headDim; i++) dot += qkv[queryStart + i] * kCache[keyStart + i];
        const block = kvHead * rowBlocks + Math.floor(place / 4);
        scores[(block * keys + key) * 4 + (place % 4)] = dot / Math.sqrt(headDim);
      }
    }
  }
  return { scores };
}
