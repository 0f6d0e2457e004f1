import type { ReferenceArrays } from '../../../gpu/declaration.ts';
import type { Symbols } from '../../../gpu/shapes.ts';

/** hidden[index[row], :] = features[row, :]; the other rows stay. */
export function scatterRowsReference({ hidden, features, index }: ReferenceArrays, { rows, dim }: Symbols) {
  const out = hidden.slice();
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < dim; i++) out[index[row] * dim + i] = features[row * dim + i];
  }
  return { hidden: out };
}
