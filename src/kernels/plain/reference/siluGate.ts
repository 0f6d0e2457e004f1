import type { ReferenceArrays } from '../../../gpu/declaration.ts';
import type { Symbols } from '../../../gpu/shapes.ts';

/** out[row, i] = silu(gateUp[row, 2·i]) · gateUp[row, 2·i + 1] */
export function siluGateReference({ gateUp }: ReferenceArrays, { rows, gateUpDim }: Symbols) {
  const out = new Float64Array((rows * gateUpDim) / 2);
  for (let i = 0; i < out.length; i++) {
    const gate = gateUp[2 * i];
    out[i] = (gate / (1 + Math.exp(-gate))) * gateUp[2 * i + 1];
  }
  return { out };
}
