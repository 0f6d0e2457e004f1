import { panels, read, weights } from '../../../gpu/declaration.ts';
import { PANEL_ROWS, paddedRows } from '../../../gpu/panels.ts';
import type { Symbols } from '../../../gpu/shapes.ts';
import { erf, panelRows, products, readPanel, readWeight, storePanel } from '../../shared/helpers.ts';
import { type LinearContract, linearFamily } from './linearFamily.ts';
import { fromTransposed } from './reference/panelLinear.ts';

/** What the kernels of a linear layer on many rows have in common; see `matmulPanels`. */
export const matmulPanelsContract = {
  name: 'matmulPanels',
  endings: ['store', 'add', 'gate', 'gelu'],
  code: new URL('./matmulPanels.wgsl', import.meta.url),
  helpers: [panelRows, readWeight, readPanel, products, erf, storePanel],
  inputs: {
    xT: read('f32', ['inDim', ({ rows }) => paddedRows(rows)]),
    weight: panels(['outDim', 'inDim']),
    bias: weights(['outDim']),
  },
  rows: 'rows',
  params: { rows: 'u32' },
  constants: { WORKGROUP_M: 8, WORKGROUP_N: 8 },
  dispatch: ({ rows, weightRows }: Symbols, { WORKGROUP_M, WORKGROUP_N }: Symbols) => [
    Math.ceil(weightRows / (PANEL_ROWS * WORKGROUP_N)),
    Math.ceil(rows / (PANEL_ROWS * WORKGROUP_M)),
  ],
  reference: fromTransposed,
  flops: ({ rows, inDim, outDim }) => 2 * rows * inDim * outDim,
  cases: [
    { name: 'odd sizes', sizes: { rows: 13, inDim: 71, outDim: 66 } },
    { name: 'whole tiles', sizes: { rows: 64, inDim: 24, outDim: 64 }, weightDtype: 'bf16' },
    { name: 'one row', sizes: { rows: 1, inDim: 96, outDim: 34 }, weightDtype: 'bf16' },
    { name: 'two columns', sizes: { rows: 9, inDim: 40, outDim: 2 }, weightDtype: 'bf16' },
    { name: 'inner size 1', sizes: { rows: 3, inDim: 1, outDim: 6 }, weightDtype: 'bf16' },
    { name: 'the 7B decoder', sizes: { rows: 2, inDim: 3584, outDim: 512 }, weightDtype: 'bf16' },
    { name: 'large values', sizes: { rows: 6, inDim: 130, outDim: 18 }, scale: 1e3, weightDtype: 'bf16' },
    { name: 'zeros', sizes: { rows: 2, inDim: 8, outDim: 8 }, scale: 0, weightDtype: 'bf16' },
  ],
  tolerance: {
    abs: 0,
    rel: 5e-6,
    reason: 'a sum of inDim products in f32: its error grows like sqrt(inDim) · 2^-24, 3.6e-6 for 3584',
  },
  gateTolerance: { abs: 0, rel: 1e-5, reason: 'a product of two such sums: their relative errors add up' },
} as const satisfies LinearContract;

/**
 * `matmul` on weights in panels and on transposed rows (`transposeRows`): 8 x 8 values of out per thread.
 *
 * `xT` [inDim, ceil(rows / 8) · 8] f32, `weight` [outDim, inDim] in panels, `bias` [outDim] → [rows, outDim] f32.
 */
export const matmulPanelsFamily = linearFamily(matmulPanelsContract);
export const {
  store: matmulPanels,
  add: matmulPanelsAdd,
  gate: matmulPanelsGate,
  gelu: matmulPanelsGelu,
} = matmulPanelsFamily;
