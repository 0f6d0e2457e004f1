import type { ReferenceArrays } from '../../../../gpu/declaration.ts';
import type { Symbols } from '../../../../gpu/shapes.ts';

/** The cosines, then the sines, of the angles that `mRope` turns the token at `start` with. */
export function tokenAnglesReference(
  { positionIds, axis, cosTable, sinTable, start }: ReferenceArrays,
  { context, halfDim, firstPosition }: Symbols,
) {
  const angles = new Float64Array(2 * halfDim);
  for (let i = 0; i < halfDim; i++) {
    const row = positionIds[axis[i] * context + start[0]] - firstPosition;
    angles[i] = cosTable[row * halfDim + i];
    angles[halfDim + i] = sinTable[row * halfDim + i];
  }
  return { angles };
}
