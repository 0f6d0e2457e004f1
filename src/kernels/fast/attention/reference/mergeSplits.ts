import type { ReferenceArrays } from '../../../../gpu/declaration.ts';
import type { Symbols } from '../../../../gpu/shapes.ts';

/** The mean of the splits' values, each weighted with its Σ exp(score); splits that hold no key don't count. */
export function mergeSplitsReference(
  { partials, start }: ReferenceArrays,
  { heads, headDim, splitKeys }: Symbols,
) {
  const out = new Float64Array(heads * headDim);
  const usedSplits = Math.floor(start[0] / splitKeys) + 1;
  for (let head = 0; head < heads; head++) {
    const rows = Array.from({ length: usedSplits }, (_, split) => (split * heads + head) * (headDim + 4));
    const weights = rows.map((row) => Math.exp(partials[row + headDim]));
    const sum = weights.reduce((a, b) => a + b, 0);
    for (const [split, row] of rows.entries()) {
      for (let i = 0; i < headDim; i++) out[head * headDim + i] += (weights[split] / sum) * partials[row + i];
    }
  }
  return { out };
}
