import { type KernelCase, read, weights } from '../../../gpu/declaration.ts';
import { PANEL_ROWS, paddedRows } from '../../../gpu/panels.ts';
import type { Symbols } from '../../../gpu/shapes.ts';
import { erf, flatGroup, panelRows, readWeight, storePanel } from '../../shared/helpers.ts';
import { type LinearContract, linearFamily } from './linearFamily.ts';
import { fromQuants } from './reference/int8.ts';

/** Values of a row that share a scale, as in quantizeRows.wgsl and quantizePanels.wgsl. */
export const INT8_BLOCK = 32;
const BLOCK_WORDS = INT8_BLOCK / 4;

const blocks = ({ words }: Symbols) => words / BLOCK_WORDS;
/** Of a weight [outDim, inDim]. */
export const weightPanels = ({ outDim }: Symbols) => Math.ceil(outDim / PANEL_ROWS);

/** What the kernels of a linear layer on 8-bit integers have in common; see `gemvInt8`. `words` is inDim / 4. */
export const gemvInt8Contract = {
  name: 'gemvInt8',
  endings: ['store', 'add', 'gate'],
  code: new URL('./gemvInt8.wgsl', import.meta.url),
  helpers: [panelRows, flatGroup, readWeight, erf, storePanel],
  inputs: {
    xQuants: read('u32', ['words', xRows]),
    xScales: read('f32', [blocks, xRows]),
    quants: read('u32', [weightPanels, 'words', PANEL_ROWS]),
    scales: read('f32', [weightPanels, blocks, PANEL_ROWS]),
    bias: weights(['outDim']),
  },
  rows: 1,
  params: { weightFirstRow: 'u32', weightRows: 'u32' },
  constants: { WORKGROUP_SIZE: 16 },
  dispatch: ({ weightRows }: Symbols, { WORKGROUP_SIZE }: Symbols) => [
    Math.ceil(weightRows / (PANEL_ROWS * WORKGROUP_SIZE)),
  ],
  reference: fromQuants,
  flops: ({ rows = 1, words, outDim }) => 8 * rows * words * outDim,
  cases: [
    wholeCase('odd columns', { words: 24, outDim: 66 }),
    wholeCase('two outputs', { words: 8, outDim: 2 }),
    wholeCase('more panels than one workgroup', { words: 8, outDim: 1044 }),
    wholeCase('the 7B decoder', { words: 896, outDim: 64 }),
  ],
  tolerance: {
    abs: 0,
    rel: 2e-6,
    reason: 'a sum of inDim / 32 products in f32, the integers are exact: sqrt(112) · 2^-24 = 6e-7 for 3584',
  },
  gateTolerance: { abs: 0, rel: 1e-5, reason: 'a product of two such sums, and an exponential' },
} as const satisfies LinearContract;

/**
 * `gemv` on 8-bit integers, one thread per panel of eight columns: no subgroups, no barriers.
 *
 * `xQuants` [inDim / 4, 8] u32 and `xScales` [inDim / 32, 8] f32 of `quantizeRows`, `quants` [ceil(outDim / 8), inDim / 4, 8] u32 and
 * `scales` [ceil(outDim / 8), inDim / 32, 8] f32 of `quantizePanels`, never in pieces, `bias` [outDim] → [1, outDim] f32.
 * Params: `weightFirstRow` is 0 and `weightRows` is outDim.
 */
export const gemvInt8Family = linearFamily(gemvInt8Contract);
export const { store: gemvInt8, add: gemvInt8Add, gate: gemvInt8Gate } = gemvInt8Family;

/** Rows of x, filled up: a single one without `rows`. */
function xRows({ rows = 1 }: Symbols): number {
  return paddedRows(rows);
}

/** A case of the whole weight; its integers from -127 to 127, its scales from 0.001 to 0.007. */
export function wholeCase(name: string, sizes: Symbols): KernelCase {
  return {
    name,
    sizes: { ...sizes, weightFirstRow: 0, weightRows: sizes.outDim },
    weightDtype: 'bf16', // of the bias: its formats have cases in gemvPanels
    inputs: (all) => ({
      xQuants: drawQuants(all.words * xRows(all), 1),
      xScales: drawScales(blocks(all) * xRows(all), 5),
      quants: drawQuants(all.words * paddedRows(all.outDim), 2),
      scales: drawScales(blocks(all) * paddedRows(all.outDim), 7),
    }),
  };
}

/** Words of four integers from -127 to 127, the same ones for the same seed. */
function drawQuants(words: number, seed: number): Uint32Array {
  const quants = Int8Array.from(
    { length: 4 * words },
    (_, i) => ((Math.imul(i + seed, 0x9e3779b1) >>> 16) % 255) - 127,
  );
  return new Uint32Array(quants.buffer);
}

/** 0.001, 0.002, … `count` · 0.001, again and again. */
function drawScales(length: number, count: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => (1 + (i % count)) / 1000);
}
