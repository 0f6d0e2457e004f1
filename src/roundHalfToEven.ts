/** The nearest whole number; a half goes to the even neighbour, as Python's `round` and WGSL's have it. */
export function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
