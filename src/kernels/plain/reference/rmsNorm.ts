import type { ReferenceArrays } from '../../../gpu/declaration.ts';
import type { Symbols } from '../../../gpu/shapes.ts';

/** out[row, i] = x[row, i] / sqrt(mean(x[row, :]²) + eps) · weight[i] */
export function rmsNormReference({ x, weight }: ReferenceArrays, { rows, dim, eps }: Symbols) {
  const out = new Float64Array(rows * dim);
  for (let row = 0; row < rows; row++) {
    let sumOfSquares = 0;
    for (let i = 0; i < dim; i++) sumOfSquares += x[row * dim + i] ** 2;
    const scale = 1 / Math.sqrt(sumOfSquares / dim + eps);
    for (let i = 0; i < dim; i++) out[row * dim + i] = x[row * dim + i] * scale * weight[i];
  }
  return { out };
}
