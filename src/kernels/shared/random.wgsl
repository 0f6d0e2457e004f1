// Random numbers without a state: the n-th number of a seed is a hash of (seed, n), so every step can ask for its own.
//
// pcg4d: each word takes a step of a linear congruential generator, then each is mixed with two others, high bits are folded
// onto low ones, and the words are mixed again. All of it is arithmetic modulo 2^32: every adapter gives the same bits, and so
// does the twin in TypeScript, kernels/choose/reference/random.ts.
// Source: "Hash Functions for GPU Rendering" (Jarzynski, Olano 2020), pcg4d.

/// A number in [0, 1), a multiple of 2^-24: number `index` of the seed.
fn uniformRandom(seedLow: u32, seedHigh: u32, index: u32) -> f32 {
  let bits = pcg4d(vec4u(seedLow, seedHigh, index, 0u)).x;
  return f32(bits >> 8u) * 0x1p-24;  // 24 bits: an f32 holds them exactly
}

fn pcg4d(input: vec4u) -> vec4u {
  var words = input * 1664525u + 1013904223u;
  words = mixWords(words);
  words ^= words >> vec4u(16u);
  return mixWords(words);
}

fn mixWords(input: vec4u) -> vec4u {
  var words = input;
  words.x += words.y * words.w;
  words.y += words.z * words.x;
  words.z += words.x * words.y;
  words.w += words.y * words.z;
  return words;
}
