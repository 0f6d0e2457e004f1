import type { ReferenceArrays } from '../../../gpu/declaration.ts';
import type { Symbols } from '../../../gpu/shapes.ts';

/** Rotates the pair (i, i + halfDim) of every query and key head by the patch's own angle i. */
export function visionRopeReference(
  { qkv, cosAngles, sinAngles }: ReferenceArrays,
  { patches, qkvDim, halfDim, numHeads }: Symbols,
) {
  const out = qkv.slice();
  for (let patch = 0; patch < patches; patch++) {
    for (let head = 0; head < 2 * numHeads; head++) {
      for (let i = 0; i < halfDim; i++) {
        const cos = cosAngles[patch * halfDim + i];
        const sin = sinAngles[patch * halfDim + i];
        const first = patch * qkvDim + head * 2 * halfDim + i;
        out[first] = qkv[first] * cos - qkv[first + halfDim] * sin;
        out[first + halfDim] = qkv[first + halfDim] * cos + qkv[first] * sin;
      }
    }
  }
  return { qkv: out };
}
