import { read, weights, write } from '../../gpu/declaration.ts';
import { defineKernel } from '../../gpu/kernel.ts';
import { flatGroup, readWeight } from '../shared/helpers.ts';
import { matmulReference } from './reference/matmul.ts';

/**
 * A linear layer on a single row, as decoding needs it: the same definition as `matmul` with one row.
 *
 * `x` [1, inDim] f32, `weight` [outDim, inDim], `bias` [outDim] (zeros where the layer has none) → [1, outDim] f32.
 * Follows: torch.nn.functional.linear
 */
export const gemv = defineKernel({
  name: 'gemv',
  code: new URL('./gemv.wgsl', import.meta.url),
  helpers: [flatGroup, readWeight],
  bindings: {
    x: read('f32', [1, 'inDim']),
    weight: weights(['outDim', 'inDim']),
    bias: weights(['outDim']),
    out: write('f32', [1, 'outDim']),
  },
  constants: { WORKGROUP_SIZE: 64 },
  dispatch: ({ weightRows }, { WORKGROUP_SIZE }) => [Math.ceil(weightRows / WORKGROUP_SIZE)],
  reference: matmulReference,
  flops: ({ inDim, outDim }) => 2 * inDim * outDim,
  cases: [
    { name: 'odd sizes', sizes: { inDim: 71, outDim: 67 } },
    { name: 'one output', sizes: { inDim: 40, outDim: 1 }, weightDtype: 'bf16' },
    { name: 'inner size 1', sizes: { inDim: 1, outDim: 5 }, weightDtype: 'bf16' },
    { name: 'the 7B decoder', sizes: { inDim: 3584, outDim: 512 }, weightDtype: 'bf16' },
    { name: 'more rows than one workgroup', sizes: { inDim: 24, outDim: 200 } },
    { name: 'large values', sizes: { inDim: 130, outDim: 18 }, scale: 1e4, weightDtype: 'bf16' },
    { name: 'zeros', sizes: { inDim: 8, outDim: 8 }, scale: 0, weightDtype: 'bf16' },
  ],
  tolerance: {
    abs: 0,
    rel: 5e-6,
    reason: 'a sum of inDim products in f32: its error grows like sqrt(inDim) · 2^-24, 3.6e-6 for 3584',
  },
});
