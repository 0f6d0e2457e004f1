// The error function, which WGSL has not. Two polynomials, fitted for this file by weighted least squares, give it to 1.3e-7:
//   |v| < 1:  erf v = v · P(v²), degree 6          else:  erf v = ±(1 - exp(-Q(|v|))), degree 5, on [1, 4]

/// x · Φ(x), the exact GELU.
fn gelu(x: f32) -> f32 {
  return 0.5 * x * (1.0 + erf(x * 0.70710678));
}

fn erf(v: f32) -> f32 {
  let magnitude = abs(v);
  if (magnitude < 1.0) {
    let s = v * v;
    var p = 7.8540754e-5;
    p = p * s - 8.0102636e-4;
    p = p * s + 5.1883366e-3;
    p = p * s - 2.6853817e-2;
    p = p * s + 1.1283585e-1;
    p = p * s - 3.7612626e-1;
    p = p * s + 1.1283791;
    return v * p;
  }
  let m = min(magnitude, 4.0);  // 1 - erf(4) is 1.5e-8: below half a unit in the last place of 1
  var q = 1.1572291e-3;
  q = q * m - 1.4831906e-2;
  q = q * m + 8.8799901e-2;
  q = q * m + 6.5423977e-1;
  q = q * m + 1.1176214;
  q = q * m + 2.6191231e-3;
  return sign(v) * (1.0 - exp(-q));
}
