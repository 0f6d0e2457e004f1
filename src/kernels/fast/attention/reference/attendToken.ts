import type { ReferenceArrays } from '../../../../gpu/declaration.ts';
import type { Symbols } from '../../../../gpu/shapes.ts';
import { writeKvReference } from '../../../plain/reference/writeKv.ts';

/** The token's heads turned by `angles`, its key and value put into the cache, and every head attended to all keys. */
export function attendTokenReference(arrays: ReferenceArrays, sizes: Symbols) {
  const { rows, ...written } = attendSplits(arrays, { ...sizes, splits: 1 });
  return { ...written, out: Float64Array.from(rows.flatMap(({ values }) => [...values])) };
}

/** The same for the keys of each split alone: its values, then log Σ exp(score) and three zeros. Splits without a key stay. */
export function attendTokenSplitsReference(arrays: ReferenceArrays, sizes: Symbols) {
  const { rows, ...written } = attendSplits(arrays, sizes);
  const out = arrays.out.slice();
  out.set(rows.flatMap(({ values, logSum }) => [...values, logSum, 0, 0, 0]));
  return { ...written, out };
}

/** @returns what stands in the caches, `queries` and `weights` afterwards, and a row for each head of each split with a key */
function attendSplits(arrays: ReferenceArrays, sizes: Symbols) {
  const { qkvDim, kvHeads, context, headDim, splits, splitKeys } = sizes;
  const heads = qkvDim / headDim - 2 * kvHeads;
  const group = heads / kvHeads;
  const { qkv, kCache, vCache } = turnAndCache(arrays, sizes);
  const queries = arrays.queries.slice();
  const weights = arrays.weights.slice();
  const rows: { values: Float64Array; logSum: number }[] = [];
  for (let split = 0; split < splits && split * splitKeys <= arrays.start[0]; split++) {
    const keyCount = Math.min(arrays.start[0] + 1 - split * splitKeys, splitKeys);
    queries.set(qkv.subarray(0, heads * headDim), split * heads * headDim);
    for (let head = 0; head < heads; head++) {
      const kvHead = Math.floor(head / group);
      const cacheStart = (kvHead * context + split * splitKeys) * headDim;
      const scores = Float64Array.from({ length: keyCount }, (_, key) => {
        let dot = 0;
        for (let i = 0; i < headDim; i++)
          dot += qkv[head * headDim + i] * kCache[cacheStart + key * headDim + i];
        return dot / Math.sqrt(headDim);
      });
      const rowMax = Math.max(...scores);
      const values = new Float64Array(headDim);
      const rowWeights = scores.map((score) => Math.exp(score - rowMax));
      const sum = rowWeights.reduce((a, b) => a + b, 0);
      for (const [key, weight] of rowWeights.entries()) {
        for (let i = 0; i < headDim; i++) {
          values[i] += (weight / sum) * vCache[cacheStart + key * headDim + i];
        }
        // Places past the last head of a key head hold that one again.
        const first = head % group;
        const last = first === group - 1 ? 4 * Math.ceil(group / 4) - 1 : first;
        for (let place = first; place <= last; place++) {
          const block = (split * kvHeads + kvHead) * Math.ceil(group / 4) + Math.floor(place / 4);
          weights[(block * splitKeys + key) * 4 + (place % 4)] = weight;
        }
      }
      rows.push({ values, logSum: rowMax + Math.log(sum) });
    }
  }
  return { kCache, vCache, queries, weights, rows };
}

function turnAndCache({ qkv, angles, ...cache }: ReferenceArrays, sizes: Symbols) {
  const { kvHeads, qkvDim, headDim } = sizes;
  const halfDim = headDim / 2;
  const turned = qkv.slice();
  for (let head = 0; head < qkvDim / headDim - kvHeads; head++) {
    for (let i = 0; i < halfDim; i++) {
      const a = qkv[head * headDim + i];
      const b = qkv[head * headDim + halfDim + i];
      turned[head * headDim + i] = a * angles[i] - b * angles[halfDim + i];
      turned[head * headDim + halfDim + i] = b * angles[i] + a * angles[halfDim + i];
    }
  }
  return { qkv: turned, ...writeKvReference({ ...cache, qkv: turned }, { ...sizes, tokens: 1 }) };
}
