import type { ReferenceArrays } from '../../../gpu/declaration.ts';
import type { Symbols } from '../../../gpu/shapes.ts';

/** Rotates the pair (i, i + halfDim) of every query and key head by the angle of its position and frequency. */
export function mRopeReference(
  { qkv, positionIds, axis, cosTable, sinTable, start }: ReferenceArrays,
  { tokens, qkvDim, context, halfDim, rotatedHeads, firstPosition }: Symbols,
) {
  const out = qkv.slice();
  for (let token = 0; token < tokens; token++) {
    for (let head = 0; head < rotatedHeads; head++) {
      for (let i = 0; i < halfDim; i++) {
        const position = positionIds[axis[i] * context + start[0] + token];
        const cos = cosTable[(position - firstPosition) * halfDim + i];
        const sin = sinTable[(position - firstPosition) * halfDim + i];
        const first = token * qkvDim + head * 2 * halfDim + i;
        out[first] = qkv[first] * cos - qkv[first + halfDim] * sin;
        out[first + halfDim] = qkv[first + halfDim] * cos + qkv[first] * sin;
      }
    }
  }
  return { qkv: out };
}
