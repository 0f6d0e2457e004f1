/** The twin of shared/random.wgsl: bit for bit the same numbers. */

/** A number in [0, 1), a multiple of 2^-24: number `index` of the 64-bit seed whose halves are `seedLow` and `seedHigh`. */
export function uniformRandom(seedLow: number, seedHigh: number, index: number): number {
  const [bits] = pcg4d([seedLow, seedHigh, index, 0]);
  return (bits >>> 8) * 2 ** -24;
}

type Words = readonly [number, number, number, number];

/** Four words hashed to four. Follows: "Hash Functions for GPU Rendering" (Jarzynski, Olano 2020), pcg4d */
export function pcg4d(input: Words): Words {
  const stepped = input.map((word) => (Math.imul(word, 1664525) + 1013904223) >>> 0);
  const folded = mixWords(stepped).map((word) => (word ^ (word >>> 16)) >>> 0);
  return mixWords(folded);
}

function mixWords([x, y, z, w]: readonly number[]): Words {
  x = (x + Math.imul(y, w)) >>> 0;
  y = (y + Math.imul(z, x)) >>> 0;
  z = (z + Math.imul(x, y)) >>> 0;
  w = (w + Math.imul(y, z)) >>> 0;
  return [x, y, z, w];
}
