/** softmax(query · keys / sqrt(headDim)) · values, for one query: the textbook form, with all scores at hand. */
export function attend(
  query: Float64Array,
  keyCount: number,
  keyAt: (key: number, i: number) => number,
  valueAt: (key: number, i: number) => number,
): Float64Array {
  const headDim = query.length;
  const scores = Float64Array.from({ length: keyCount }, (_, key) => {
    let dot = 0;
    for (let i = 0; i < headDim; i++) dot += query[i] * keyAt(key, i);
    return dot / Math.sqrt(headDim);
  });
  const largest = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  const weights = scores.map((score) => Math.exp(score - largest));
  const sum = weights.reduce((a, b) => a + b, 0);
  return Float64Array.from({ length: headDim }, (_, i) => {
    let value = 0;
    for (let key = 0; key < keyCount; key++) value += weights[key] * valueAt(key, i);
    return value / sum;
  });
}
