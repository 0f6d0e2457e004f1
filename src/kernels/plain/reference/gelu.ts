import type { ReferenceArrays } from '../../../gpu/declaration.ts';

/** out = x/2 · (1 + erf(x / √2)) */
export function geluReference({ x }: ReferenceArrays) {
  return { out: x.map((value) => 0.5 * value * (1 + erf(value / Math.SQRT2))) };
}

/** erf by its Taylor series, and by the continued fraction of erfc where the series cancels: both to 1e-14. */
function erf(v: number): number {
  const m = Math.abs(v);
  if (m > 6) return Math.sign(v);
  if (m < 2.5) {
    let term = m;
    let sum = m;
    for (let n = 1; Math.abs(term) > 1e-17; n++) {
      term *= -(m * m) / n;
      sum += term / (2 * n + 1);
    }
    return Math.sign(v) * (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = m;
  for (let n = 120; n > 0; n--) fraction = m + n / 2 / fraction;
  return Math.sign(v) * (1 - Math.exp(-m * m) / (Math.sqrt(Math.PI) * fraction));
}
