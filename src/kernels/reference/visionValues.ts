import type { ReferenceArrays } from '../../gpu/declaration.ts';
import type { Symbols } from '../../gpu/shapes.ts';
import { weightedValues } from './attentionValues.ts';

/** The softmax of each patch's scores of the keys of its segment, and the values weighted with it. */
export function visionValuesReference(
  { scores, qkv, segments }: ReferenceArrays,
  { patches, qkvDim, numHeads }: Symbols,
) {
  const hiddenSize = qkvDim / 3;
  const headDim = hiddenSize / numHeads;
  const out = new Float64Array(patches * hiddenSize);
  for (let patch = 0; patch < patches; patch++) {
    const [begin, end] = segments.subarray(2 * patch);
    for (let head = 0; head < numHeads; head++) {
      const column = head * headDim;
      const block = head * Math.ceil(patches / 4) + Math.floor(patch / 4);
      const weighted = weightedValues(
        Float64Array.from(
          { length: end - begin },
          (_, key) => scores[(block * patches + begin + key) * 4 + (patch % 4)],
        ),
        headDim,
        (key, i) => qkv[(begin + key) * qkvDim + 2 * hiddenSize + column + i],
      );
      out.set(weighted, patch * hiddenSize + column);
    }
  }
  return { out };
}
