import type { ReferenceArrays } from '../../../../gpu/declaration.ts';
import { paddedRows } from '../../../../gpu/panels.ts';
import type { Symbols } from '../../../../gpu/shapes.ts';

/** out[row] = the least power of two, from 2^-126 to 2^126, that is at least max|x[row, :]|; rows past the last are that one. */
export function rowScalesReference({ x }: ReferenceArrays, { rows, inDim }: Symbols) {
  const out = new Float64Array(paddedRows(rows));
  for (let i = 0; i < out.length; i++) {
    const row = Math.min(i, rows - 1);
    const largest = x
      .subarray(row * inDim, (row + 1) * inDim)
      .reduce((max, v) => Math.max(max, Math.abs(v)), 0);
    out[i] = 2 ** -126;
    while (out[i] < largest && out[i] < 2 ** 126) out[i] *= 2;
  }
  return { out };
}
