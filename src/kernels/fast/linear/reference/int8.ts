import type { ReferenceArrays } from '../../../../gpu/declaration.ts';
import type { Symbols } from '../../../../gpu/shapes.ts';
import type { linearAddReference } from './panelLinear.ts';

const BLOCK = 32;
const SMALLEST = 1e-30; // a block below this counts as zeros

/**
 * x [rows, inDim] in blocks of 32: scale = max|x| / 127, quant = round(x / scale), of a row's block; rows filled up with zeros.
 *
 * Rounded to f32 where the kernel is, so that a value near the middle of two integers goes the same way.
 */
export function quantizeRowsReference({ x }: ReferenceArrays, { rows, inDim }: Symbols) {
  const paddedRows = Math.ceil(rows / 8) * 8;
  const xQuants = new Float64Array((inDim / 4) * paddedRows);
  const xScales = new Float64Array((inDim / BLOCK) * paddedRows);
  for (let row = 0; row < rows; row++) {
    for (let block = 0; block < inDim / BLOCK; block++) {
      const first = row * inDim + block * BLOCK;
      const { scale, words } = quantizeBlock(x.subarray(first, first + BLOCK));
      xScales[block * paddedRows + row] = scale;
      for (const [i, word] of words.entries()) xQuants[(8 * block + i) * paddedRows + row] = word;
    }
  }
  return { xQuants, xScales };
}

/** The same of a weight [outDim, inDim], the words and scales of eight rows side by side. */
export function quantizePanelsReference({ weight }: ReferenceArrays, { outDim, inDim }: Symbols) {
  const panels = Math.ceil(outDim / 8);
  const quants = new Float64Array(panels * 2 * inDim);
  const scales = new Float64Array((panels * inDim) / 4);
  for (let row = 0; row < outDim; row++) {
    for (let block = 0; block < inDim / BLOCK; block++) {
      const first = row * inDim + block * BLOCK;
      const { scale, words } = quantizeBlock(weight.subarray(first, first + BLOCK));
      const place = ((row >> 3) * inDim) / BLOCK + block;
      scales[8 * place + (row & 7)] = scale;
      for (const [i, word] of words.entries()) quants[8 * (8 * place + i) + (row & 7)] = word;
    }
  }
  return { quants, scales };
}

/** The linear layers' definitions on what the integers stand for: x = xScale · xQuant, weight = scale · quant. */
export function fromQuants(reference: typeof linearAddReference) {
  return ({ xQuants, xScales, quants, scales, ...arrays }: ReferenceArrays, sizes: Symbols) => {
    const { rows = 1, words, outDim } = sizes;
    const inDim = 4 * words;
    const paddedRows = Math.ceil(rows / 8) * 8;
    const x = new Float64Array(rows * inDim).map((_, i) => {
      const row = Math.floor(i / inDim);
      const k = i % inDim;
      return xScales[(k >> 5) * paddedRows + row] * int8At(xQuants[(k >> 2) * paddedRows + row], k & 3);
    });
    const weight = new Float64Array(outDim * inDim).map((_, i) => {
      const row = Math.floor(i / inDim);
      const place = Math.floor(row / 8) * inDim + (i % inDim); // panel · inDim + k
      return scales[8 * (place >> 5) + (row & 7)] * int8At(quants[8 * (place >> 2) + (row & 7)], place & 3);
    });
    return reference({ ...arrays, x, weight }, { ...sizes, inDim });
  };
}

function quantizeBlock(values: Float64Array): { scale: number; words: Uint32Array } {
  const largest = values.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  const isZero = largest < SMALLEST;
  const inverse = isZero ? 0 : Math.fround(127 / largest);
  const quants = Int8Array.from(values, (value) => roundEven(Math.fround(value * inverse)));
  const scale = isZero ? 0 : Math.fround(largest * Math.fround(1 / 127));
  return { scale, words: new Uint32Array(quants.buffer) };
}

/** To the nearest integer, in the middle of two to the even one, as WGSL's `round`. */
function roundEven(value: number): number {
  const floor = Math.floor(value);
  const isUp = value - floor > 0.5 || (value - floor === 0.5 && floor % 2 !== 0);
  return isUp ? floor + 1 : floor;
}

/** Byte `i` of a word, the lowest first. */
function int8At(word: number, i: number): number {
  return (word << (24 - 8 * i)) >> 24;
}
