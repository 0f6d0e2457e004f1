/** Rounds to the nearest integer, and halves to the even neighbour, like `round` in Python and WGSL. */
export function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
