import { read, weights, write } from '../../gpu/declaration.ts';
import { defineKernel } from '../../gpu/kernel.ts';
import { readWeight } from '../shared/helpers.ts';
import { matmulReference } from './reference/matmul.ts';

/**
 * A linear layer on many rows: `x · weightᵀ + bias`.
 *
 * `x` [rows, inDim] f32, `weight` [outDim, inDim], `bias` [outDim] (zeros where the layer has none) → [rows, outDim] f32.
 * Follows: torch.nn.functional.linear
 */
export const matmul = defineKernel({
  name: 'matmul',
  code: new URL('./matmul.wgsl', import.meta.url),
  helpers: [readWeight],
  bindings: {
    x: read('f32', ['rows', 'inDim']),
    weight: weights(['outDim', 'inDim']),
    bias: weights(['outDim']),
    out: write('f32', ['rows', 'outDim']),
  },
  constants: { WORKGROUP_M: 4, WORKGROUP_N: 16 },
  dispatch: ({ rows, weightRows }, { WORKGROUP_M, WORKGROUP_N, THREAD_M, THREAD_N }) => [
    Math.ceil(weightRows / (WORKGROUP_N * THREAD_N)),
    Math.ceil(rows / (WORKGROUP_M * THREAD_M)),
  ],
  reference: matmulReference,
  flops: ({ rows, inDim, outDim }) => 2 * rows * inDim * outDim,
  cases: [
    { name: 'odd sizes', sizes: { rows: 5, inDim: 71, outDim: 67 } },
    { name: 'whole tiles', sizes: { rows: 16, inDim: 64, outDim: 64 } },
    { name: 'one row', sizes: { rows: 1, inDim: 96, outDim: 33 }, weightDtype: 'bf16' },
    { name: 'one column', sizes: { rows: 9, inDim: 40, outDim: 1 }, weightDtype: 'bf16' },
    { name: 'inner size 1', sizes: { rows: 3, inDim: 1, outDim: 5 }, weightDtype: 'bf16' },
    { name: 'the 7B decoder', sizes: { rows: 2, inDim: 3584, outDim: 512 }, weightDtype: 'bf16' },
    { name: 'large values', sizes: { rows: 6, inDim: 130, outDim: 18 }, scale: 1e4, weightDtype: 'bf16' },
    { name: 'zeros', sizes: { rows: 2, inDim: 8, outDim: 8 }, scale: 0, weightDtype: 'bf16' },
  ],
  tolerance: {
    abs: 0,
    rel: 5e-6,
    reason: 'a sum of inDim products in f32: its error grows like sqrt(inDim) · 2^-24, 3.6e-6 for 3584',
  },
});
