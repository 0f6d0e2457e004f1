import { read, readWrite } from '../../gpu/declaration.ts';
import { defineKernel } from '../../gpu/kernel.ts';
import type { Symbols } from '../../gpu/shapes.ts';
import { flatGroup } from '../shared/helpers.ts';
import { mRopeReference } from './reference/mRope.ts';

/**
 * Rotates queries and keys of a joined qkv row by their positions on three axes, in place; values are left alone.
 *
 * `qkv` [tokens, qkvDim] f32, `positionIds` [3, context] i32 by cache index, `axis` [halfDim] u32 (0 time, 1 row, 2 column),
 * `cosTable`, `sinTable` [positions, halfDim] f32 from position `firstPosition` on, `start` [1] u32: cache index of token 0.
 * Follows: modeling_qwen2_5.py, apply_multimodal_rotary_pos_emb
 */
export const mRope = defineKernel({
  name: 'mRope',
  code: new URL('./mRope.wgsl', import.meta.url),
  helpers: [flatGroup],
  bindings: {
    qkv: readWrite('f32', ['tokens', 'qkvDim']),
    positionIds: read('i32', [3, 'context']),
    axis: read('u32', ['halfDim']),
    cosTable: read('f32', ['positions', 'halfDim']),
    sinTable: read('f32', ['positions', 'halfDim']),
    start: read('u32', [1]),
  },
  params: { rotatedHeads: 'u32', firstPosition: 'i32' },
  constants: { WORKGROUP_SIZE: 64 },
  dispatch: ({ tokens, rotatedHeads, halfDim }, { WORKGROUP_SIZE }) => [
    Math.ceil((tokens * rotatedHeads * halfDim) / WORKGROUP_SIZE),
  ],
  reference: mRopeReference,
  touches: ({ tokens, qkvDim, rotatedHeads, halfDim, context, positions }) => ({
    qkv: (rotatedHeads * 2 * halfDim) / qkvDim,
    positionIds: tokens / context,
    cosTable: Math.min(1, tokens / positions),
    sinTable: Math.min(1, tokens / positions),
  }),
  cases: [
    mRopeCase('m2-tiny heads', { tokens: 5, heads: 8, halfDim: 16, context: 9, start: 2 }, [4, 6, 6]),
    mRopeCase('the 7B heads', { tokens: 2, heads: 32, halfDim: 64, context: 4, start: 0 }, [16, 24, 24]),
    mRopeCase('plain 1-D', { tokens: 3, heads: 2, halfDim: 8, context: 3, start: 0 }, [8, 0, 0]),
    mRopeCase('one token, late', { tokens: 1, heads: 3, halfDim: 32, context: 8, start: 7 }, [8, 12, 12]),
    mRopeCase('large values', { tokens: 2, heads: 2, halfDim: 8, context: 2, start: 0 }, [2, 3, 3], 1e4),
    mRopeCase('zeros', { tokens: 2, heads: 2, halfDim: 8, context: 2, start: 0 }, [2, 3, 3], 0),
  ],
  tolerance: { abs: 0, rel: 3e-7, reason: 'two products and one sum: three roundings of 2^-24' },
});

/** Positions run from -2 on and differ on the three axes; a quarter as many value heads as rotated ones follow. */
function mRopeCase(name: string, shape: Symbols, sections: readonly number[], scale = 1) {
  const { tokens, heads, halfDim, context, start } = shape;
  const qkvDim = (heads + Math.ceil(heads / 4)) * halfDim * 2;
  const positions = context + 7;
  return {
    name,
    scale,
    sizes: { tokens, qkvDim, context, halfDim, positions, rotatedHeads: heads, firstPosition: -2 },
    inputs: () => ({
      positionIds: Int32Array.from({ length: 3 * context }, (_, index) => {
        const axis = Math.floor(index / context);
        return (index % context) + [0, 4, -2][axis];
      }),
      axis: Uint32Array.from(sections.flatMap((length, axis) => new Array(length).fill(axis))),
      start: Uint32Array.of(start),
    }),
  };
}
