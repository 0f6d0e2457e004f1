import { read, write } from '../../../gpu/declaration.ts';
import { defineKernel } from '../../../gpu/kernel.ts';
import { tokenAnglesReference } from './reference/tokenAngles.ts';

/**
 * Cosines and sines of the angles of the token at cache index `start` [1] u32: `attendToken` turns its heads with them, in every
 * layer. The tables are those of `mRope` → [2, halfDim] f32.
 *
 * Follows: modeling_qwen2_5.py, apply_multimodal_rotary_pos_emb
 */
export const tokenAngles = defineKernel({
  name: 'tokenAngles',
  code: new URL('./tokenAngles.wgsl', import.meta.url),
  bindings: {
    positionIds: read('i32', [3, 'context']),
    axis: read('u32', ['halfDim']),
    cosTable: read('f32', ['positions', 'halfDim']),
    sinTable: read('f32', ['positions', 'halfDim']),
    start: read('u32', [1]),
    angles: write('f32', [2, 'halfDim']),
  },
  params: { firstPosition: 'i32' },
  constants: { WORKGROUP_SIZE: 64 },
  dispatch: ({ halfDim }, { WORKGROUP_SIZE }) => [Math.ceil(halfDim / WORKGROUP_SIZE)],
  reference: tokenAnglesReference,
  cases: [
    anglesCase('m2-tiny heads', { context: 9, start: 2 }, [4, 6, 6]),
    anglesCase('the 7B heads', { context: 4, start: 0 }, [16, 24, 24]),
    anglesCase('more frequencies than one workgroup, last place', { context: 8, start: 7 }, [16, 24, 60]),
    anglesCase('plain 1-D', { context: 3, start: 1 }, [8, 0, 0]),
  ],
  tolerance: { abs: 0, rel: 0, reason: 'values are copied' },
});

/** Positions run from -2 on and differ on the three axes. */
function anglesCase(
  name: string,
  { context, start }: Record<'context' | 'start', number>,
  sections: readonly number[],
) {
  const halfDim = sections.reduce((sum, length) => sum + length, 0);
  return {
    name,
    sizes: { context, halfDim, positions: context + 7, firstPosition: -2 },
    inputs: () => ({
      positionIds: Int32Array.from(
        { length: 3 * context },
        (_, index) => (index % context) + [0, 4, -2][Math.floor(index / context)],
      ),
      axis: Uint32Array.from(sections.flatMap((length, axis) => new Array(length).fill(axis))),
      start: Uint32Array.of(start),
    }),
  };
}
