import type { ReferenceArrays } from '../../../gpu/declaration.ts';
import type { Symbols } from '../../../gpu/shapes.ts';

/** out[row, col] = Σ_k x[row, k] · weight[col, k] + bias[col] */
export function matmulReference({ x, weight, bias }: ReferenceArrays, { rows = 1, inDim, outDim }: Symbols) {
  const out = new Float64Array(rows * outDim);
  for (let row = 0; row < rows; row++) {
    for (let col = 0; col < outDim; col++) {
      let sum = bias[col];
      for (let k = 0; k < inDim; k++) sum += x[row * inDim + k] * weight[col * inDim + k];
      out[row * outDim + col] = sum;
    }
  }
  return { out };
}
