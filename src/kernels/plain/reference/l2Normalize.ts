import type { ReferenceArrays } from '../../../gpu/declaration.ts';
import type { Symbols } from '../../../gpu/shapes.ts';

/** out[row, i] = x[row, i] / max(sqrt(Σ x[row, :]²), eps) */
export function l2NormalizeReference({ x }: ReferenceArrays, { rows, dim, eps }: Symbols) {
  const out = new Float64Array(rows * dim);
  for (let row = 0; row < rows; row++) {
    let sumOfSquares = 0;
    for (let i = 0; i < dim; i++) sumOfSquares += x[row * dim + i] ** 2;
    const length = Math.max(Math.sqrt(sumOfSquares), eps);
    for (let i = 0; i < dim; i++) out[row * dim + i] = x[row * dim + i] / length;
  }
  return { out };
}
