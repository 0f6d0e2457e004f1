import type { ReferenceArrays } from '../../../gpu/declaration.ts';
import type { Symbols } from '../../../gpu/shapes.ts';

/** Stands for "no token can be chosen". */
export const NO_TOKEN = 0xffffffff;

/** out[row] = the lowest id with the largest finite logit; NO_TOKEN when one is NaN or +Infinity, or none is finite */
export function argmaxReference({ logits }: ReferenceArrays, { rows, vocab }: Symbols) {
  const out = new Float64Array(rows);
  for (let row = 0; row < rows; row++) {
    let best = -Infinity;
    out[row] = NO_TOKEN;
    for (let id = 0; id < vocab; id++) {
      const value = logits[row * vocab + id];
      if (Number.isNaN(value) || value === Infinity) {
        out[row] = NO_TOKEN;
        break;
      }
      if (value <= best) continue;
      best = value;
      out[row] = id;
    }
  }
  return { out };
}
