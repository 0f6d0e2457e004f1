import type { ReferenceArrays } from '../../../../gpu/declaration.ts';
import type { Symbols } from '../../../../gpu/shapes.ts';

/**
 * Query · key / sqrt(headDim) in blocks of four patches and four keys, each of them whole, where a block has a key of one of
 * its patches' segments or between them; the rest of `scores` stays. Patches past the edge are the last one again.
 */
export function visionScoresReference(
  { qkv, segments, scores: before }: ReferenceArrays,
  { patches, firstPatch, queries, qkvDim, numHeads }: Symbols,
) {
  const hiddenSize = qkvDim / 3;
  const headDim = hiddenSize / numHeads;
  const rowBlocks = Math.ceil(queries / 4);
  const scores = before.slice();
  for (let head = 0; head < numHeads; head++) {
    for (let place = 0; place < 4 * rowBlocks; place++) {
      const patch = firstPatch + Math.min(place, queries - 1);
      const firstOfBlock = firstPatch + 4 * Math.floor(place / 4);
      const lastOfBlock = Math.min(firstOfBlock + 3, firstPatch + queries - 1);
      const firstKey = 4 * Math.floor(segments[2 * firstOfBlock] / 4);
      const endKey = Math.min(4 * Math.ceil(segments[2 * lastOfBlock + 1] / 4), patches);
      for (let key = firstKey; key < endKey; key++) {
        const queryStart = patch * qkvDim + head * headDim;
        const keyStart = key * qkvDim + hiddenSize + head * headDim;
        let dot = 0;
        for (let i = 0; i < headDim; i++) dot += qkv[queryStart + i] * qkv[keyStart + i];
        const block = head * rowBlocks + Math.floor(place / 4);
        scores[(block * patches + key) * 4 + (place % 4)] = dot / Math.sqrt(headDim);
      }
    }
  }
  return { scores };
}
