import type { ReferenceArrays } from '../../../../gpu/declaration.ts';
import type { Symbols } from '../../../../gpu/shapes.ts';

/** out[k, row] = x[min(row, rows - 1), k], rows filled up to a multiple of 8 */
export function transposeRowsReference({ x }: ReferenceArrays, { rows, inDim }: Symbols) {
  const paddedRows = Math.ceil(rows / 8) * 8;
  const out = new Float64Array(inDim * paddedRows);
  for (let k = 0; k < inDim; k++) {
    for (let row = 0; row < paddedRows; row++) {
      out[k * paddedRows + row] = x[Math.min(row, rows - 1) * inDim + k];
    }
  }
  return { out };
}
