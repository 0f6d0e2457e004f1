import type { ReferenceArrays } from '../../../gpu/declaration.ts';
import type { Symbols } from '../../../gpu/shapes.ts';
import { attend } from './attend.ts';

/** Every head of every patch attends to the patches of its segment. */
export function visionAttentionReference(
  { qkv, segments }: ReferenceArrays,
  { patches, qkvDim, numHeads }: Symbols,
) {
  const hiddenSize = qkvDim / 3;
  const headDim = hiddenSize / numHeads;
  const out = new Float64Array(patches * hiddenSize);
  for (let patch = 0; patch < patches; patch++) {
    const [begin, end] = segments.subarray(2 * patch);
    for (let head = 0; head < numHeads; head++) {
      const column = head * headDim;
      const row = attend(
        qkv.subarray(patch * qkvDim + column, patch * qkvDim + column + headDim),
        end - begin,
        (key, i) => qkv[(begin + key) * qkvDim + hiddenSize + column + i],
        (key, i) => qkv[(begin + key) * qkvDim + 2 * hiddenSize + column + i],
      );
      out.set(row, patch * hiddenSize + column);
    }
  }
  return { out };
}
