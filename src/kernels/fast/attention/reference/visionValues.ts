import type { ReferenceArrays } from '../../../../gpu/declaration.ts';
import type { Symbols } from '../../../../gpu/shapes.ts';
import { weightedValues } from './attentionValues.ts';

/** The softmax of each patch's scores of the keys of its segment, and the values weighted with it; other rows of `out` stay. */
export function visionValuesReference(
  { scores, qkv, segments, out: before }: ReferenceArrays,
  { patches, firstPatch, queries, qkvDim, numHeads }: Symbols,
) {
  const hiddenSize = qkvDim / 3;
  const headDim = hiddenSize / numHeads;
  const out = before.slice();
  for (let patch = firstPatch; patch < firstPatch + queries; patch++) {
    const row = patch - firstPatch;
    const [begin, end] = segments.subarray(2 * patch);
    for (let head = 0; head < numHeads; head++) {
      const column = head * headDim;
      const block = head * Math.ceil(queries / 4) + Math.floor(row / 4);
      const weighted = weightedValues(
        Float64Array.from(
          { length: end - begin },
          (_, key) => scores[(block * patches + begin + key) * 4 + (row % 4)],
        ),
        headDim,
        (key, i) => qkv[(begin + key) * qkvDim + 2 * hiddenSize + column + i],
      );
      out.set(weighted, patch * hiddenSize + column);
    }
  }
  return { out };
}
