import { panels, read, readWrite, weights, write } from '../../../gpu/declaration.ts';
import { defineKernel } from '../../../gpu/kernel.ts';
import { matmulReference } from '../../plain/reference/matmul.ts';
import { erf, flatGroup, gemvPanel, readPanel, readWeight, storePanel } from '../../shared/helpers.ts';
import { linearAddReference, linearGateReference } from './reference/panelLinear.ts';

/** What the kernels of a linear layer on a single row have in common; see `gemvPanels`. */
export const gemvPanelsContract = {
  code: new URL('./gemvPanels.wgsl', import.meta.url),
  helpers: [flatGroup, readWeight, readPanel, gemvPanel, erf, storePanel],
  inputs: {
    x: read('f32', [1, 'inDim']),
    weight: panels(['outDim', 'inDim']),
    bias: weights(['outDim']),
  },
  dispatch: ({ weightRows }: Record<string, number>, { WORKGROUP_SIZE }: Record<string, number>) => [
    Math.ceil(weightRows / (8 * WORKGROUP_SIZE)),
  ],
  flops: ({ inDim, outDim }: Record<string, number>) => 2 * inDim * outDim,
  cases: [
    { name: 'odd sizes', sizes: { inDim: 71, outDim: 66 } },
    { name: 'two outputs', sizes: { inDim: 40, outDim: 2 } },
    { name: 'inner size 1', sizes: { inDim: 1, outDim: 10 } },
    { name: 'the 7B decoder', sizes: { inDim: 3584, outDim: 512 }, weightDtype: 'bf16' as const },
    {
      name: 'more panels than one workgroup',
      sizes: { inDim: 23, outDim: 1044 },
      weightDtype: 'f16' as const,
    },
    { name: 'large values', sizes: { inDim: 130, outDim: 18 }, scale: 1e3 },
    { name: 'zeros', sizes: { inDim: 8, outDim: 8 }, scale: 0 },
  ],
  tolerance: {
    abs: 0,
    rel: 5e-6,
    reason: 'a sum of inDim products in f32: its error grows like sqrt(inDim) · 2^-24, 3.6e-6 for 3584',
  },
  gateTolerance: { abs: 0, rel: 1e-5, reason: 'a product of two such sums: their relative errors add up' },
};

const { inputs, gateTolerance, ...contract } = gemvPanelsContract;

/**
 * `gemv` on weights in panels, one thread per panel: no subgroups, no barriers.
 *
 * `x` [1, inDim] f32, `weight` [outDim, inDim] in panels, `bias` [outDim] → [1, outDim] f32.
 */
export const gemvPanels = defineKernel({
  ...contract,
  name: 'gemvPanels',
  bindings: { ...inputs, out: write('f32', [1, 'outDim']) },
  constants: { WORKGROUP_SIZE: 16, EPILOGUE: 0 },
  reference: matmulReference,
});

/** The same, added to `out` [1, outDim] f32 in place: `gemv` and `add` in one. */
export const gemvPanelsAdd = defineKernel({
  ...contract,
  name: 'gemvPanelsAdd',
  bindings: { ...inputs, out: readWrite('f32', [1, 'outDim']) },
  constants: { WORKGROUP_SIZE: 16, EPILOGUE: 1 },
  reference: linearAddReference,
});

/** The same with columns that are gate and up in turn → [1, outDim / 2] f32: `gemv` and `siluGate` in one. */
export const gemvPanelsGate = defineKernel({
  ...contract,
  name: 'gemvPanelsGate',
  bindings: { ...inputs, out: write('f32', [1, ({ outDim }) => outDim / 2]) },
  constants: { WORKGROUP_SIZE: 16, EPILOGUE: 2 },
  reference: linearGateReference,
  tolerance: gateTolerance,
});
