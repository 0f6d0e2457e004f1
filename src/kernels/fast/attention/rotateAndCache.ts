import { read, readWrite } from '../../../gpu/declaration.ts';
import { defineKernel } from '../../../gpu/kernel.ts';
import { flatGroup } from '../../shared/helpers.ts';
import { rotateAndCacheReference } from './reference/rotateAndCache.ts';

/**
 * `mRope` and `writeKv` in one dispatch: queries and keys of `qkv` [tokens, qkvDim] f32 are rotated in place, keys and values go
 * into `kCache`, `vCache` [kvHeads, context, 2 · halfDim] f32 from cache index `start` [1] u32 on. The tables are those of `mRope`.
 *
 * Follows: modeling_qwen2_5.py, apply_multimodal_rotary_pos_emb
 */
export const rotateAndCache = defineKernel({
  name: 'rotateAndCache',
  code: new URL('./rotateAndCache.wgsl', import.meta.url),
  helpers: [flatGroup],
  bindings: {
    qkv: readWrite('f32', ['tokens', 'qkvDim']),
    positionIds: read('i32', [3, 'context']),
    axis: read('u32', ['halfDim']),
    cosTable: read('f32', ['positions', 'halfDim']),
    sinTable: read('f32', ['positions', 'halfDim']),
    start: read('u32', [1]),
    kCache: readWrite('f32', ['kvHeads', 'context', ({ halfDim }) => 2 * halfDim]),
    vCache: readWrite('f32', ['kvHeads', 'context', ({ halfDim }) => 2 * halfDim]),
  },
  params: { firstPosition: 'i32' },
  constants: { WORKGROUP_SIZE: 64 },
  dispatch: ({ tokens, qkvDim }, { WORKGROUP_SIZE }) => [Math.ceil((tokens * qkvDim) / 2 / WORKGROUP_SIZE)],
  reference: rotateAndCacheReference,
  touches: ({ tokens, context, positions }) => ({
    positionIds: tokens / context,
    cosTable: Math.min(1, tokens / positions),
    sinTable: Math.min(1, tokens / positions),
    kCache: tokens / context,
    vCache: tokens / context,
  }),
  cases: [
    rotateCase(
      'm2-tiny heads',
      { tokens: 5, heads: 6, kvHeads: 2, halfDim: 16, context: 9, start: 2 },
      [4, 6, 6],
    ),
    rotateCase(
      'the 7B heads',
      { tokens: 2, heads: 28, kvHeads: 4, halfDim: 64, context: 4, start: 0 },
      [16, 24, 24],
    ),
    rotateCase(
      'one token, last place',
      { tokens: 1, heads: 2, kvHeads: 1, halfDim: 32, context: 8, start: 7 },
      [8, 12, 12],
    ),
    rotateCase('plain 1-D', { tokens: 3, heads: 1, kvHeads: 1, halfDim: 8, context: 3, start: 0 }, [8, 0, 0]),
  ],
  tolerance: { abs: 0, rel: 3e-7, reason: 'two products and one sum: three roundings of 2^-24' },
});

/** Positions run from -2 on and differ on the three axes. */
function rotateCase(name: string, shape: Record<string, number>, sections: readonly number[]) {
  const { tokens, heads, kvHeads, halfDim, context, start } = shape;
  const qkvDim = (heads + 2 * kvHeads) * 2 * halfDim;
  return {
    name,
    sizes: { tokens, qkvDim, kvHeads, context, halfDim, positions: context + 7, firstPosition: -2 },
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
