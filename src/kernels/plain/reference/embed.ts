import type { ReferenceArrays } from '../../../gpu/declaration.ts';
import type { Symbols } from '../../../gpu/shapes.ts';

/** out[token, :] = table[min(ids[token], vocab - 1), :] */
export function embedReference({ ids, table }: ReferenceArrays, { tokens, vocab, dim }: Symbols) {
  const out = new Float64Array(tokens * dim);
  for (let token = 0; token < tokens; token++) {
    const row = Math.min(ids[token], vocab - 1);
    for (let i = 0; i < dim; i++) out[token * dim + i] = table[row * dim + i];
  }
  return { out };
}
