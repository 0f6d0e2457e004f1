import { read, readWrite, write } from '../../../gpu/declaration.ts';
import { defineKernel } from '../../../gpu/kernel.ts';
import type { Symbols } from '../../../gpu/shapes.ts';
import { matmulReference } from '../../plain/reference/matmul.ts';
import { erf, readWeight, storePanel } from '../../shared/helpers.ts';
import { int8Contract } from './gemvInt8.ts';
import { fromQuants } from './reference/int8.ts';
import { linearAddReference, linearGateReference } from './reference/panelLinear.ts';

const { weightInputs, wholeCase, ...common } = int8Contract;

/** What the kernels of a linear layer on 8-bit integers and many rows have in common; see `matmulInt8`. */
export const matmulInt8Contract = {
  ...common,
  code: new URL('./matmulInt8.wgsl', import.meta.url),
  helpers: [readWeight, erf, storePanel],
  params: { rows: 'u32', ...common.params } as const,
  dispatch: ({ rows, weightRows }: Symbols, { WORKGROUP_M, WORKGROUP_N }: Symbols) => [
    Math.ceil(weightRows / (8 * WORKGROUP_N)),
    Math.ceil(rows / (8 * WORKGROUP_M)),
  ],
  cases: [
    wholeCase('odd sizes', { rows: 13, words: 24, outDim: 66 }),
    wholeCase('whole tiles', { rows: 64, words: 16, outDim: 64 }),
    wholeCase('one row', { rows: 1, words: 8, outDim: 34 }),
    wholeCase('the 7B decoder', { rows: 2, words: 896, outDim: 64 }),
  ],
  inputs: {
    xQuants: read('u32', ['words', ({ rows }) => 8 * Math.ceil(rows / 8)]),
    xScales: read('f32', [({ words }) => words / 8, ({ rows }) => 8 * Math.ceil(rows / 8)]),
    ...weightInputs,
  },
};

const { inputs, gateTolerance, ...contract } = matmulInt8Contract;
const constants = { WORKGROUP_M: 8, WORKGROUP_N: 8 };

/**
 * `matmul` on 8-bit integers: 8 x 8 values of out per thread.
 *
 * `xQuants` [inDim / 4, ceil(rows / 8) · 8] u32 and `xScales` [inDim / 32, ceil(rows / 8) · 8] f32 of `quantizeRows`, `quants` and `scales`
 * of `quantizePanels` as in `gemvInt8`, never in pieces, `bias` [outDim] → [rows, outDim] f32.
 * Params: `rows`; `weightFirstRow` is 0 and `weightRows` is outDim.
 */
export const matmulInt8 = defineKernel({
  ...contract,
  name: 'matmulInt8',
  bindings: { ...inputs, out: write('f32', ['rows', 'outDim']) },
  constants: { ...constants, EPILOGUE: 0 },
  reference: fromQuants(matmulReference),
});

/** The same, added to `out` [rows, outDim] f32 in place: `matmul` and `add` in one. */
export const matmulInt8Add = defineKernel({
  ...contract,
  name: 'matmulInt8Add',
  bindings: { ...inputs, out: readWrite('f32', ['rows', 'outDim']) },
  constants: { ...constants, EPILOGUE: 1 },
  reference: fromQuants(linearAddReference),
});

/** The same with columns that are gate and up in turn → [rows, outDim / 2] f32: `matmul` and `siluGate` in one. */
export const matmulInt8Gate = defineKernel({
  ...contract,
  name: 'matmulInt8Gate',
  bindings: { ...inputs, out: write('f32', ['rows', ({ outDim }) => outDim / 2]) },
  constants: { ...constants, EPILOGUE: 2 },
  reference: fromQuants(linearGateReference),
  tolerance: gateTolerance,
});
