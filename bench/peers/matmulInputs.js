// The inputs of the matmul measure, the same for every engine, and the expected results.

// @ts-check

/**
 * @param {number} size
 * @returns {{ x0: Float32Array, weight: Float32Array, weightBf16: Uint16Array, rows: number[] }} matrices [size, size]. The values
 *   of `weight` are exact in bf16 and have a variance of 1 / size, so that a chain of products neither grows nor shrinks. `rows`
 *   are the rows of the result to read back
 */
export function matmulInputs(size) {
  const x0 = randomValues(size * size, 1, 1);
  const weight = randomValues(size * size, 2, Math.sqrt(3 / size));
  const bits = new Uint32Array(weight.buffer);
  const weightBf16 = Uint16Array.from(bits, (value) => value >>> 16); // truncated: any bf16 values will do
  for (let i = 0; i < bits.length; i++) bits[i] = weightBf16[i] << 16;
  return { x0, weight, weightBf16, rows: [0, 37, size >> 1, size - 1] };
}

/**
 * The transpose.
 *
 * @param {Float32Array} matrix [size, size]
 * @param {number} size
 */
export function transposed(matrix, size) {
  return Float32Array.from(matrix, (_, i) => matrix[(i % size) * size + Math.floor(i / size)]);
}

/**
 * The rows of `x0 · weightᵀ · weightᵀ · …` with `chain` products, in float64.
 *
 * @param {number} size
 * @param {number} chain
 */
export function expectedRows(size, chain) {
  const { x0, weight, rows } = matmulInputs(size);
  return rows.flatMap((row) => {
    let values = Float64Array.from(x0.subarray(row * size, (row + 1) * size));
    for (let i = 0; i < chain; i++) {
      const before = values;
      values = Float64Array.from({ length: size }, (_, column) => {
        let sum = 0;
        for (let k = 0; k < size; k++) sum += before[k] * weight[column * size + k];
        return sum;
      });
    }
    return [...values];
  });
}

/** Values in [-scale, scale) from a hash of their index. @param {number} count @param {number} seed @param {number} scale */
function randomValues(count, seed, scale) {
  return Float32Array.from({ length: count }, (_, i) => {
    let x = Math.imul(i + 1, 0x9e3779b9) ^ Math.imul(seed, 0x7feb352d);
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    return (((x ^ (x >>> 16)) >>> 8) * 2 ** -23 - 1) * scale;
  });
}
