import type { ReferenceArrays } from '../../../../gpu/declaration.ts';
import { PANEL_ROWS, paddedRows } from '../../../../gpu/panels.ts';
import type { Symbols } from '../../../../gpu/shapes.ts';
import { roundHalfToEven } from '../../../../roundHalfToEven.ts';
import type { linearAddReference } from './panelLinear.ts';

const BLOCK = 32;
const BLOCK_WORDS = BLOCK / 4;
const SMALLEST = 1e-30; // a block below this counts as zeros

/**
 * x [rows, inDim] in blocks of 32: scale = max|x| / 127, quant = round(x / scale), of a row's block; rows filled up with zeros.
 *
 * Rounded to f32 where the kernel is, so that a value near the middle of two integers goes the same way.
 */
export function quantizeRowsReference({ x }: ReferenceArrays, { rows, inDim }: Symbols) {
  const xRows = paddedRows(rows);
  const xQuants = new Float64Array((inDim / 4) * xRows);
  const xScales = new Float64Array((inDim / BLOCK) * xRows);
  for (let row = 0; row < rows; row++) {
    for (let block = 0; block < inDim / BLOCK; block++) {
      const first = row * inDim + block * BLOCK;
      const { scale, words } = quantizeBlock(x.subarray(first, first + BLOCK));
      xScales[block * xRows + row] = scale;
      for (const [i, word] of words.entries()) xQuants[(BLOCK_WORDS * block + i) * xRows + row] = word;
    }
  }
  return { xQuants, xScales };
}

/** The same of a weight [outDim, inDim], the words and scales of eight rows side by side. */
export function quantizePanelsReference({ weight }: ReferenceArrays, { outDim, inDim }: Symbols) {
  const quants = new Float64Array((inDim / 4) * paddedRows(outDim));
  const scales = new Float64Array((inDim / BLOCK) * paddedRows(outDim));
  for (let row = 0; row < outDim; row++) {
    for (let block = 0; block < inDim / BLOCK; block++) {
      const first = row * inDim + block * BLOCK;
      const { scale, words } = quantizeBlock(weight.subarray(first, first + BLOCK));
      const place = (Math.floor(row / PANEL_ROWS) * inDim) / BLOCK + block; // in a panel after the other
      const inPanel = row % PANEL_ROWS;
      scales[place * PANEL_ROWS + inPanel] = scale;
      for (const [i, word] of words.entries()) {
        quants[(BLOCK_WORDS * place + i) * PANEL_ROWS + inPanel] = word;
      }
    }
  }
  return { quants, scales };
}

/** The linear layers' definitions on what the integers stand for: x = xScale · xQuant, weight = scale · quant. */
export function fromQuants(reference: typeof linearAddReference) {
  return ({ xQuants, xScales, quants, scales, ...arrays }: ReferenceArrays, sizes: Symbols) => {
    const { rows = 1, words, outDim } = sizes;
    const inDim = 4 * words;
    const xRows = paddedRows(rows);
    const x = new Float64Array(rows * inDim).map((_, i) => {
      const row = Math.floor(i / inDim);
      const k = i % inDim;
      return xScales[(k >> 5) * xRows + row] * int8At(xQuants[(k >> 2) * xRows + row], k & 3);
    });
    const weight = new Float64Array(outDim * inDim).map((_, i) => {
      const row = Math.floor(i / inDim);
      const place = Math.floor(row / PANEL_ROWS) * inDim + (i % inDim); // panel · inDim + k
      const inPanel = row % PANEL_ROWS;
      const word = quants[(place >> 2) * PANEL_ROWS + inPanel];
      return scales[(place >> 5) * PANEL_ROWS + inPanel] * int8At(word, place & 3);
    });
    return reference({ ...arrays, x, weight }, { ...sizes, inDim });
  };
}

function quantizeBlock(values: Float64Array): { scale: number; words: Uint32Array } {
  const largest = values.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  const isZero = largest < SMALLEST;
  const inverse = isZero ? 0 : Math.fround(127 / largest);
  const quants = Int8Array.from(values, (value) => roundHalfToEven(Math.fround(value * inverse)));
  const scale = isZero ? 0 : Math.fround(largest * Math.fround(1 / 127));
  return { scale, words: new Uint32Array(quants.buffer) };
}

/** Byte `i` of a word, the lowest first. */
function int8At(word: number, i: number): number {
  return (word << (24 - 8 * i)) >> 24;
}
