import type { Tolerance } from '../declaration.ts';

/** How far `actual` is from `expected`. Kernels and goldens are judged alike. */
export interface Comparison {
  readonly maxAbs: number;
  /** `maxAbs / max|expected|`. */
  readonly maxRel: number;
  /** Flat index of the largest error, or of the first value that is not finite. */
  readonly worstIndex: number;
  readonly expected: number;
  readonly actual: number;
  /** The number of values that are off by more than `bound`. */
  readonly overTolerance: number;
  /** `abs + rel · max|expected|`. */
  readonly bound: number;
  readonly ok: boolean;
}

/**
 * Compares two arrays value by value. An infinity only matches the same infinity (kernels ban tokens with -Infinity). NaN never
 * matches. Each missing or extra value counts as over tolerance.
 */
export function compareArrays(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: Pick<Tolerance, 'abs' | 'rel'>,
): Comparison {
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    if (Math.abs(expected[i]) !== Infinity) largest = Math.max(largest, Math.abs(expected[i]));
  }
  const bound = tolerance.abs + tolerance.rel * largest;

  let maxAbs = 0;
  let worstIndex = 0;
  let overTolerance = Math.abs(actual.length - expected.length);
  for (let i = 0; i < Math.min(actual.length, expected.length); i++) {
    const error = actual[i] === expected[i] ? 0 : Math.abs(actual[i] - expected[i]);
    if (!(error <= bound)) overTolerance++;
    if (error > maxAbs || (Number.isNaN(error) && !Number.isNaN(maxAbs))) {
      maxAbs = error;
      worstIndex = i;
    }
  }
  return {
    maxAbs,
    maxRel: maxAbs === 0 ? 0 : maxAbs / largest,
    worstIndex,
    expected: expected[worstIndex],
    actual: actual[worstIndex],
    overTolerance,
    bound,
    ok: overTolerance === 0,
  };
}
