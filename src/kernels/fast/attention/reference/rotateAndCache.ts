import type { ReferenceArrays } from '../../../../gpu/declaration.ts';
import type { Symbols } from '../../../../gpu/shapes.ts';
import { mRopeReference } from '../../../plain/reference/mRope.ts';
import { writeKvReference } from '../../../plain/reference/writeKv.ts';

/** mRope on query and key heads, then writeKv of what it gives. */
export function rotateAndCacheReference(arrays: ReferenceArrays, sizes: Symbols) {
  const headDim = 2 * sizes.halfDim;
  const rotatedHeads = sizes.qkvDim / headDim - sizes.kvHeads;
  const { qkv } = mRopeReference(arrays, { ...sizes, rotatedHeads });
  return { qkv, ...writeKvReference({ ...arrays, qkv }, { ...sizes, headDim }) };
}
