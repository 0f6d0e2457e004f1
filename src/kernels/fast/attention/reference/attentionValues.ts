import type { ReferenceArrays } from '../../../../gpu/declaration.ts';
import type { Symbols } from '../../../../gpu/shapes.ts';

/** The softmax of each row's scores of the keys 0 … start + token, and the values weighted with it; other rows of `out` stay. */
export function attentionValuesReference(
  { scores, vCache, start, out: before }: ReferenceArrays,
  { firstToken, queries, qkvDim, kvHeads, context, keys, headDim }: Symbols,
) {
  const heads = qkvDim / headDim - 2 * kvHeads;
  const group = heads / kvHeads; // query heads per key head
  const rowBlocks = Math.ceil((queries * group) / 4);
  const out = before.slice();
  for (let token = firstToken; token < firstToken + queries; token++) {
    for (let head = 0; head < heads; head++) {
      const kvHead = Math.floor(head / group);
      const row = (token - firstToken) * group + (head % group);
      const block = kvHead * rowBlocks + Math.floor(row / 4);
      const weighted = weightedValues(
        Float64Array.from(
          { length: start[0] + token + 1 },
          (_, key) => scores[(block * keys + key) * 4 + (row % 4)],
        ),
        headDim,
        (key, i) => vCache[(kvHead * context + key) * headDim + i],
      );
      out.set(weighted, (token * heads + head) * headDim);
    }
  }
  return { out };
}

/** softmax(scores) · values, for one query: the textbook form. */
export function weightedValues(
  scores: Float64Array,
  headDim: number,
  valueAt: (key: number, i: number) => number,
): Float64Array {
  const largest = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  const weights = scores.map((score) => Math.exp(score - largest));
  const sum = weights.reduce((a, b) => a + b, 0);
  const out = new Float64Array(headDim);
  for (const [key, weight] of weights.entries()) {
    for (let i = 0; i < headDim; i++) out[i] += (weight / sum) * valueAt(key, i);
  }
  return out;
}
