import { PANEL_ROWS } from '../../../gpu/panels.ts';
import type { Symbols } from '../../../gpu/shapes.ts';
import { erf, panelRows, readWeight, storePanel } from '../../shared/helpers.ts';
import { gemvInt8Contract, wholeCase } from './gemvInt8.ts';
import { type LinearContract, linearFamily } from './linearFamily.ts';

/** What the kernels of a linear layer on 8-bit integers and many rows have in common; see `matmulInt8`. */
export const matmulInt8Contract = {
  ...gemvInt8Contract,
  name: 'matmulInt8',
  code: new URL('./matmulInt8.wgsl', import.meta.url),
  helpers: [panelRows, readWeight, erf, storePanel],
  rows: 'rows',
  params: { rows: 'u32', ...gemvInt8Contract.params },
  constants: { WORKGROUP_M: 8, WORKGROUP_N: 8 },
  dispatch: ({ rows, weightRows }: Symbols, { WORKGROUP_M, WORKGROUP_N }: Symbols) => [
    Math.ceil(weightRows / (PANEL_ROWS * WORKGROUP_N)),
    Math.ceil(rows / (PANEL_ROWS * WORKGROUP_M)),
  ],
  cases: [
    wholeCase('odd sizes', { rows: 13, words: 24, outDim: 66 }),
    wholeCase('whole tiles', { rows: 64, words: 16, outDim: 64 }),
    wholeCase('one row', { rows: 1, words: 8, outDim: 34 }),
    wholeCase('the 7B decoder', { rows: 2, words: 896, outDim: 64 }),
  ],
} as const satisfies LinearContract;

/**
 * `matmul` on 8-bit integers: 8 x 8 values of out per thread.
 *
 * `xQuants` [inDim / 4, ceil(rows / 8) · 8] u32 and `xScales` [inDim / 32, ceil(rows / 8) · 8] f32 of `quantizeRows`, `quants` and `scales`
 * of `quantizePanels` as in `gemvInt8`, never in pieces, `bias` [outDim] → [rows, outDim] f32.
 * Params: `rows`; `weightFirstRow` is 0 and `weightRows` is outDim.
 */
export const matmulInt8Family = linearFamily(matmulInt8Contract);
export const { store: matmulInt8, add: matmulInt8Add, gate: matmulInt8Gate } = matmulInt8Family;
