import { panels, read, weights } from '../../../gpu/declaration.ts';
import { PANEL_ROWS } from '../../../gpu/panels.ts';
import type { Symbols } from '../../../gpu/shapes.ts';
import {
  erf,
  flatGroup,
  gemvPanel,
  panelRows,
  readPanel,
  readWeight,
  storePanel,
} from '../../shared/helpers.ts';
import { type LinearContract, linearFamily } from './linearFamily.ts';

/** What the kernels of a linear layer on a single row have in common; see `gemvPanels`. */
export const gemvPanelsContract = {
  name: 'gemvPanels',
  endings: ['store', 'add', 'gate'],
  code: new URL('./gemvPanels.wgsl', import.meta.url),
  helpers: [panelRows, flatGroup, readWeight, readPanel, gemvPanel, erf, storePanel],
  inputs: {
    x: read('f32', [1, 'inDim']),
    weight: panels(['outDim', 'inDim']),
    bias: weights(['outDim']),
  },
  rows: 1,
  constants: { WORKGROUP_SIZE: 16 },
  dispatch: ({ weightRows }: Symbols, { WORKGROUP_SIZE }: Symbols) => [
    Math.ceil(weightRows / (PANEL_ROWS * WORKGROUP_SIZE)),
  ],
  reference: (definition) => definition,
  flops: ({ inDim, outDim }) => 2 * inDim * outDim,
  cases: [
    { name: 'odd sizes', sizes: { inDim: 71, outDim: 66 } },
    { name: 'two outputs', sizes: { inDim: 40, outDim: 2 }, weightDtype: 'bf16' },
    { name: 'inner size 1', sizes: { inDim: 1, outDim: 10 }, weightDtype: 'bf16' },
    { name: 'the 7B decoder', sizes: { inDim: 3584, outDim: 512 }, weightDtype: 'bf16' },
    { name: 'more panels than one workgroup', sizes: { inDim: 23, outDim: 1044 }, weightDtype: 'f16' },
    { name: 'large values', sizes: { inDim: 130, outDim: 18 }, scale: 1e3, weightDtype: 'bf16' },
    { name: 'zeros', sizes: { inDim: 8, outDim: 8 }, scale: 0, weightDtype: 'bf16' },
  ],
  tolerance: {
    abs: 0,
    rel: 5e-6,
    reason: 'a sum of inDim products in f32: its error grows like sqrt(inDim) · 2^-24, 3.6e-6 for 3584',
  },
  gateTolerance: { abs: 0, rel: 1e-5, reason: 'a product of two such sums: their relative errors add up' },
} as const satisfies LinearContract;

/**
 * `gemv` on weights in panels, one thread per panel: no subgroups, no barriers.
 *
 * `x` [1, inDim] f32, `weight` [outDim, inDim] in panels, `bias` [outDim] → [1, outDim] f32.
 */
export const gemvPanelsFamily = linearFamily(gemvPanelsContract);
export const { store: gemvPanels, add: gemvPanelsAdd, gate: gemvPanelsGate } = gemvPanelsFamily;
