import { type KernelCase, panels, read, readWrite, weights, write } from '../../../gpu/declaration.ts';
import { defineKernel } from '../../../gpu/kernel.ts';
import { matmulReference } from '../../plain/reference/matmul.ts';
import { erf, products, readPanel, readWeight, storePanel } from '../../shared/helpers.ts';
import {
  fromTransposed,
  linearAddReference,
  linearGateReference,
  linearGeluReference,
} from './reference/panelLinear.ts';

/** What the kernels of a linear layer on many rows have in common; see `matmulPanels`. */
export const matmulPanelsContract = {
  code: new URL('./matmulPanels.wgsl', import.meta.url),
  helpers: [readWeight, readPanel, products, erf, storePanel],
  inputs: {
    xT: read('f32', ['inDim', ({ rows }) => 8 * Math.ceil(rows / 8)]),
    weight: panels(['outDim', 'inDim']),
    bias: weights(['outDim']),
  },
  params: { rows: 'u32' } as const,
  dispatch: ({ rows, weightRows }: Record<string, number>, constants: Record<string, number>) => [
    Math.ceil(weightRows / (8 * constants.WORKGROUP_N)),
    Math.ceil(rows / (8 * constants.WORKGROUP_M)),
  ],
  flops: ({ rows, inDim, outDim }: Record<string, number>) => 2 * rows * inDim * outDim,
  cases: [
    { name: 'odd sizes', sizes: { rows: 13, inDim: 71, outDim: 66 } },
    { name: 'whole tiles', sizes: { rows: 64, inDim: 24, outDim: 64 }, weightDtype: 'bf16' as const },
    { name: 'one row', sizes: { rows: 1, inDim: 96, outDim: 34 } },
    { name: 'two columns', sizes: { rows: 9, inDim: 40, outDim: 2 } },
    { name: 'inner size 1', sizes: { rows: 3, inDim: 1, outDim: 6 } },
    { name: 'the 7B decoder', sizes: { rows: 2, inDim: 3584, outDim: 512 }, weightDtype: 'bf16' as const },
    { name: 'large values', sizes: { rows: 6, inDim: 130, outDim: 18 }, scale: 1e3 },
    { name: 'zeros', sizes: { rows: 2, inDim: 8, outDim: 8 }, scale: 0 },
  ],
  tolerance: {
    abs: 0,
    rel: 5e-6,
    reason: 'a sum of inDim products in f32: its error grows like sqrt(inDim) · 2^-24, 3.6e-6 for 3584',
  },
  gateTolerance: { abs: 0, rel: 1e-5, reason: 'a product of two such sums: their relative errors add up' },
};

/** What comes after the sums comes after the same loop: for it one dtype and short sums are enough, and compiling is slow. */
export function endingCases(cases: readonly KernelCase[]): KernelCase[] {
  return cases
    .filter(({ sizes }) => sizes.inDim < 1000)
    .map((one) => ({ ...one, weightDtype: 'bf16' as const }));
}

const { inputs, gateTolerance, ...contract } = matmulPanelsContract;
const constants = { WORKGROUP_M: 8, WORKGROUP_N: 8 };

/**
 * `matmul` on weights in panels and on transposed rows (`transposeRows`): 8 x 8 values of out per thread.
 *
 * `xT` [inDim, ceil(rows / 8) · 8] f32, `weight` [outDim, inDim] in panels, `bias` [outDim] → [rows, outDim] f32.
 */
export const matmulPanels = defineKernel({
  ...contract,
  name: 'matmulPanels',
  bindings: { ...inputs, out: write('f32', ['rows', 'outDim']) },
  constants: { ...constants, EPILOGUE: 0 },
  reference: fromTransposed(matmulReference),
});

/** The same, added to `out` [rows, outDim] f32 in place: `matmul` and `add` in one. */
export const matmulPanelsAdd = defineKernel({
  ...contract,
  name: 'matmulPanelsAdd',
  bindings: { ...inputs, out: readWrite('f32', ['rows', 'outDim']) },
  constants: { ...constants, EPILOGUE: 1 },
  reference: fromTransposed(linearAddReference),
});

/** The same with columns that are gate and up in turn → [rows, outDim / 2] f32: `matmul` and `siluGate` in one. */
export const matmulPanelsGate = defineKernel({
  ...contract,
  name: 'matmulPanelsGate',
  bindings: { ...inputs, out: write('f32', ['rows', ({ outDim }) => outDim / 2]) },
  constants: { ...constants, EPILOGUE: 2 },
  reference: fromTransposed(linearGateReference),
  tolerance: gateTolerance,
});

/** The same, then the exact GELU: `matmul` and `gelu` in one. */
export const matmulPanelsGelu = defineKernel({
  ...contract,
  name: 'matmulPanelsGelu',
  bindings: { ...inputs, out: write('f32', ['rows', 'outDim']) },
  constants: { ...constants, EPILOGUE: 3 },
  reference: fromTransposed(linearGeluReference),
  cases: endingCases(contract.cases),
});
