import { read, readWrite } from '../../gpu/declaration.ts';
import { defineKernel } from '../../gpu/kernel.ts';
import { flatGroup } from '../shared/helpers.ts';
import { visionRopeReference } from './reference/visionRope.ts';

/**
 * Rotates queries and keys of a joined qkv row by the row and column of their patch, in place; values are left alone.
 *
 * `qkv` [patches, qkvDim] f32 with qkvDim = 3 · numHeads · headDim, `cosAngles`, `sinAngles` [patches, headDim / 2] f32.
 * Follows: qwen2_5_vit.py, apply_rotary_pos_emb_vision
 */
export const visionRope = defineKernel({
  name: 'visionRope',
  code: new URL('./visionRope.wgsl', import.meta.url),
  helpers: [flatGroup],
  bindings: {
    qkv: readWrite('f32', ['patches', 'qkvDim']),
    cosAngles: read('f32', ['patches', 'halfDim']),
    sinAngles: read('f32', ['patches', 'halfDim']),
  },
  params: { numHeads: 'u32' },
  constants: { WORKGROUP_SIZE: 64 },
  dispatch: ({ patches, numHeads, halfDim }, { WORKGROUP_SIZE }) => [
    Math.ceil((patches * 2 * numHeads * halfDim) / WORKGROUP_SIZE),
  ],
  reference: visionRopeReference,
  cases: [
    { name: 'odd sizes', sizes: { patches: 5, numHeads: 3, halfDim: 7, qkvDim: 126 } },
    { name: 'one patch', sizes: { patches: 1, numHeads: 2, halfDim: 12, qkvDim: 144 } },
    { name: 'smallest head', sizes: { patches: 3, numHeads: 1, halfDim: 1, qkvDim: 6 } },
    { name: 'the 7B heads', sizes: { patches: 4, numHeads: 16, halfDim: 40, qkvDim: 3840 } },
    { name: 'large values', sizes: { patches: 2, numHeads: 2, halfDim: 8, qkvDim: 96 }, scale: 1e4 },
    { name: 'zeros', sizes: { patches: 2, numHeads: 2, halfDim: 8, qkvDim: 96 }, scale: 0 },
  ],
  tolerance: { abs: 0, rel: 3e-7, reason: 'two products and one sum: three roundings of 2^-24' },
});
