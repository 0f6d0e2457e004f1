import type { ReferenceArrays } from '../../../../gpu/declaration.ts';
import { paddedRows } from '../../../../gpu/panels.ts';
import type { Symbols } from '../../../../gpu/shapes.ts';

/** out[k, row] = x[min(row, rows - 1), k], rows filled up to whole panels */
export function transposeRowsReference({ x }: ReferenceArrays, { rows, inDim }: Symbols) {
  const outRows = paddedRows(rows);
  const out = new Float64Array(inDim * outRows);
  for (let k = 0; k < inDim; k++) {
    for (let row = 0; row < outRows; row++) {
      out[k * outRows + row] = x[Math.min(row, rows - 1) * inDim + k];
    }
  }
  return { out };
}
