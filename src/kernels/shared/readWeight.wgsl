// Weights of three formats behind one binding. A weight buffer is array<u32> whatever it holds; the kernel declares
//   override WEIGHT_DTYPE: u32 = 0u;  // set by the host from the tensor: 0 f32, 1 bf16, 2 f16
// and reads element i as unpackWeight(weight[weightWord(i, WEIGHT_DTYPE)], i, WEIGHT_DTYPE).
// The compiler knows the override, so only one of the branches is left in the pipeline.

/// The word that holds element `i`: one f32, or two 16-bit values.
fn weightWord(i: u32, dtype: u32) -> u32 {
  return select(i >> 1u, i, dtype == 0u);
}

/// Element `i` out of its word.
fn unpackWeight(word: u32, i: u32, dtype: u32) -> f32 {
  if (dtype == 0u) {
    return bitcast<f32>(word);
  }
  let pair = unpackPair(word, dtype);
  return select(pair.x, pair.y, (i & 1u) == 1u);
}

/// Both 16-bit values of a word, the lower one first. bf16 is the upper half of an f32.
fn unpackPair(word: u32, dtype: u32) -> vec2f {
  if (dtype == 1u) {
    return vec2f(bitcast<f32>(word << 16u), bitcast<f32>(word & 0xffff0000u));
  }
  return unpack2x16float(word);
}
