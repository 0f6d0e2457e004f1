import type { ReferenceArrays } from '../../../gpu/declaration.ts';

/** scores - max - log Σ exp(scores - max) */
export function logSoftmaxReference({ scores }: ReferenceArrays) {
  const largest = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  const sum = scores.reduce((total, score) => total + Math.exp(score - largest), 0);
  return { scores: scores.map((score) => score - largest - Math.log(sum)) };
}
