/// The logit of a token that may not come: minus infinity. It is made of its bits at run time, as WGSL refuses a constant that
/// is not finite.
fn banned() -> f32 {
  var bits = 0xff800000u;
  return bitcast<f32>(bits);
}
