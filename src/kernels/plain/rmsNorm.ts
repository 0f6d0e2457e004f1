import { read, weights, write } from '../../gpu/declaration.ts';
import { defineKernel } from '../../gpu/kernel.ts';
import { flatGroup, readWeight, workgroupReduce } from '../shared/helpers.ts';
import { rmsNormReference } from './reference/rmsNorm.ts';

/**
 * Divides every row by its root mean square and scales it by a learned weight.
 *
 * `x` [rows, dim] f32, `weight` [dim], `eps` → [rows, dim] f32.
 * Follows: modeling_qwen2_5.py, Qwen2RMSNorm
 */
export const rmsNorm = defineKernel({
  name: 'rmsNorm',
  code: new URL('./rmsNorm.wgsl', import.meta.url),
  helpers: [flatGroup, workgroupReduce, readWeight],
  bindings: {
    x: read('f32', ['rows', 'dim']),
    weight: weights(['dim']),
    out: write('f32', ['rows', 'dim']),
  },
  params: { eps: 'f32' },
  constants: { WORKGROUP_SIZE: 64 },
  dispatch: ({ rows }) => [rows],
  reference: rmsNormReference,
  flops: ({ rows, dim }) => 4 * rows * dim, // square, sum, scale, weight
  cases: [
    { name: 'odd sizes', sizes: { rows: 5, dim: 71, eps: 1e-6 } },
    { name: 'one row', sizes: { rows: 1, dim: 192, eps: 1e-6 }, weightDtype: 'bf16' },
    { name: 'one column', sizes: { rows: 3, dim: 1, eps: 1e-6 }, weightDtype: 'bf16' },
    { name: 'the 7B decoder', sizes: { rows: 3, dim: 3584, eps: 1e-6 }, weightDtype: 'bf16' },
    { name: 'large values', sizes: { rows: 2, dim: 1280, eps: 1e-6 }, scale: 1e4, weightDtype: 'bf16' },
    { name: 'zeros', sizes: { rows: 2, dim: 64, eps: 1e-6 }, scale: 0, weightDtype: 'bf16' },
  ],
  tolerance: {
    abs: 0,
    rel: 2e-6,
    reason: 'a tree sum of dim squares and one rsqrt: about 8 roundings of 2^-24 each',
  },
});
