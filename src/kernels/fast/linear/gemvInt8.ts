import { read, readWrite, weights, write } from '../../../gpu/declaration.ts';
import { defineKernel } from '../../../gpu/kernel.ts';
import type { Symbols } from '../../../gpu/shapes.ts';
import { matmulReference } from '../../plain/reference/matmul.ts';
import { erf, flatGroup, readWeight, storePanel } from '../../shared/helpers.ts';
import { fromQuants } from './reference/int8.ts';
import { linearAddReference, linearGateReference } from './reference/panelLinear.ts';

/** Values of a row that share a scale, as in quantizeRows.wgsl and quantizePanels.wgsl. */
export const INT8_BLOCK = 32;

/** What the kernels of a linear layer on 8-bit integers have in common; see `gemvInt8`. `words` is inDim / 4. */
export const int8Contract = {
  weightInputs: {
    quants: read('u32', [({ outDim }) => Math.ceil(outDim / 8), 'words', 8]),
    scales: read('f32', [({ outDim }) => Math.ceil(outDim / 8), ({ words }) => words / 8, 8]),
    bias: weights(['outDim']),
  },
  params: { weightFirstRow: 'u32', weightRows: 'u32' } as const,
  flops: ({ rows = 1, words, outDim }: Symbols) => 8 * rows * words * outDim,
  tolerance: {
    abs: 0,
    rel: 2e-6,
    reason: 'a sum of inDim / 32 products in f32, the integers are exact: sqrt(112) · 2^-24 = 6e-7 for 3584',
  },
  gateTolerance: { abs: 0, rel: 1e-5, reason: 'a product of two such sums, and an exponential' },
  /** A case of the whole weight; its integers from -127 to 127, its scales from 0.001 to 0.007. */
  wholeCase: (name: string, sizes: Symbols) => ({
    name,
    sizes: { ...sizes, weightFirstRow: 0, weightRows: sizes.outDim },
    weightDtype: 'bf16' as const, // of the bias: its formats have cases in gemvPanels
    inputs: ({ rows = 1, words, outDim }: Symbols) => {
      const paddedRows = 8 * Math.ceil(rows / 8);
      const paddedCols = 8 * Math.ceil(outDim / 8);
      return {
        xQuants: drawQuants(words * paddedRows, 1),
        xScales: Float32Array.from({ length: (words / 8) * paddedRows }, (_, i) => (1 + (i % 5)) / 1000),
        quants: drawQuants(words * paddedCols, 2),
        scales: Float32Array.from({ length: (words / 8) * paddedCols }, (_, i) => (1 + (i % 7)) / 1000),
      };
    },
  }),
};

const { weightInputs, gateTolerance, wholeCase, ...contract } = int8Contract;
const gemv = {
  ...contract,
  code: new URL('./gemvInt8.wgsl', import.meta.url),
  helpers: [flatGroup, readWeight, erf, storePanel],
  dispatch: ({ weightRows }: Symbols, { WORKGROUP_SIZE }: Symbols) => [
    Math.ceil(weightRows / (8 * WORKGROUP_SIZE)),
  ],
  cases: [
    wholeCase('odd columns', { words: 24, outDim: 66 }),
    wholeCase('two outputs', { words: 8, outDim: 2 }),
    wholeCase('more panels than one workgroup', { words: 8, outDim: 1044 }),
    wholeCase('the 7B decoder', { words: 896, outDim: 64 }),
  ],
};
const inputs = {
  xQuants: read('u32', ['words', 8]),
  xScales: read('f32', [({ words }) => words / 8, 8]),
  ...weightInputs,
};

/**
 * `gemv` on 8-bit integers, one thread per panel of eight columns: no subgroups, no barriers.
 *
 * `xQuants` [inDim / 4, 8] u32 and `xScales` [inDim / 32, 8] f32 of `quantizeRows`, `quants` [ceil(outDim / 8), inDim / 4, 8] u32 and
 * `scales` [ceil(outDim / 8), inDim / 32, 8] f32 of `quantizePanels`, never in pieces, `bias` [outDim] → [1, outDim] f32.
 * Params: `weightFirstRow` is 0 and `weightRows` is outDim.
 */
export const gemvInt8 = defineKernel({
  ...gemv,
  name: 'gemvInt8',
  bindings: { ...inputs, out: write('f32', [1, 'outDim']) },
  constants: { WORKGROUP_SIZE: 16, EPILOGUE: 0 },
  reference: fromQuants(matmulReference),
});

/** The same, added to `out` [1, outDim] f32 in place: `gemv` and `add` in one. */
export const gemvInt8Add = defineKernel({
  ...gemv,
  name: 'gemvInt8Add',
  bindings: { ...inputs, out: readWrite('f32', [1, 'outDim']) },
  constants: { WORKGROUP_SIZE: 16, EPILOGUE: 1 },
  reference: fromQuants(linearAddReference),
});

/** The same with columns that are gate and up in turn → [1, outDim / 2] f32: `gemv` and `siluGate` in one. */
export const gemvInt8Gate = defineKernel({
  ...gemv,
  name: 'gemvInt8Gate',
  bindings: { ...inputs, out: write('f32', [1, ({ outDim }) => outDim / 2]) },
  constants: { WORKGROUP_SIZE: 16, EPILOGUE: 2 },
  reference: fromQuants(linearGateReference),
  tolerance: gateTolerance,
});

/** Words of four integers from -127 to 127, the same ones for the same seed. */
function drawQuants(words: number, seed: number): Uint32Array {
  const quants = Int8Array.from(
    { length: 4 * words },
    (_, i) => ((Math.imul(i + seed, 0x9e3779b1) >>> 16) % 255) - 127,
  );
  return new Uint32Array(quants.buffer);
}
