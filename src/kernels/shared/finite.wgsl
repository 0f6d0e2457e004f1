/// By its exponent among the bits: of comparisons compilers may assume that NaN and infinities never come.
fn isFinite(value: f32) -> bool {
  return (bitcast<u32>(value) & 0x7fffffffu) < 0x7f800000u;
}
