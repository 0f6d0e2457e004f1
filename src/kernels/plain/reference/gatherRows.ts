import type { ReferenceArrays } from '../../../gpu/declaration.ts';
import type { Symbols } from '../../../gpu/shapes.ts';

/** out[row, :] = x[index[row], :] */
export function gatherRowsReference({ x, index }: ReferenceArrays, { outRows, dim }: Symbols) {
  const out = new Float64Array(outRows * dim);
  for (let row = 0; row < outRows; row++) {
    for (let i = 0; i < dim; i++) out[row * dim + i] = x[index[row] * dim + i];
  }
  return { out };
}
