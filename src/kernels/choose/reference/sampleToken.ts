import type { ReferenceArrays } from '../../../gpu/declaration.ts';
import type { Symbols } from '../../../gpu/shapes.ts';
import { NO_TOKEN } from './argmax.ts';
import { uniformRandom } from './random.ts';

/** Limits of what may be drawn, each off at the value in brackets. */
export interface SamplingLimits {
  readonly temperature: number; // [1]
  readonly topK: number; // [0]
  readonly topP: number; // [1]
  readonly minP: number; // [0]
}

/** out = the token that the random number of (seed, length) falls on */
export function sampleTokenReference({ logits, length }: ReferenceArrays, sizes: Symbols) {
  const probabilities = tokenProbabilities(logits, sizes as unknown as SamplingLimits);
  const uniform = uniformRandom(sizes.seedLow, sizes.seedHigh, length[0]);
  return { out: Float64Array.of(drawToken(probabilities, uniform)) };
}

/** The first id whose cumulative probability is above `uniform`; NO_TOKEN when the probabilities are NaN. */
export function drawToken(probabilities: Float64Array, uniform: number): number {
  let cumulative = 0;
  let drawn = NO_TOKEN;
  for (const [id, probability] of probabilities.entries()) {
    if (!(probability > 0)) continue;
    drawn = id; // rounding may leave the sum a little under 1: then the last token that is kept
    cumulative += probability;
    if (cumulative > uniform) break;
  }
  return drawn;
}

/**
 * Temperature, top-k, top-p, min-p, softmax, by sorting. Whatever transformers keeps as a float32 tensor is rounded to float32
 * here too: where a probability lies right at 1 - topP, that decides.
 *
 * @param logits [vocab]; -Infinity stands for a banned token
 * @returns [vocab], 0 for what is cut off; all NaN when a logit is NaN or +Infinity, or none is finite
 * Follows: transformers 4.49, generation/logits_process.py, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper,
 *   MinPLogitsWarper
 */
export function tokenProbabilities(
  logits: ArrayLike<number>,
  { temperature, topK, topP, minP }: SamplingLimits,
): Float64Array {
  const scores = Float32Array.from(logits, (logit) => logit / Math.fround(temperature));
  const order = Uint32Array.from(scores.keys()).sort((a, b) => scores[a] - scores[b] || a - b); // ascending, stable
  const largest = scores[order[order.length - 1]];
  const isBroken = scores.some((score) => Number.isNaN(score) || score === Infinity);
  if (isBroken || largest === -Infinity) return new Float64Array(scores.length).fill(Number.NaN);

  if (topK > 0) {
    const kth = scores[order[Math.max(0, order.length - topK)]];
    for (const [id, score] of scores.entries()) if (score < kth) scores[id] = -Infinity;
  }
  if (topP < 1) {
    const probabilities = softmax(scores);
    let cumulative = 0;
    for (const id of order.subarray(0, -1)) {
      cumulative += Math.fround(probabilities[id]);
      if (Math.fround(cumulative) <= Math.fround(1 - topP)) scores[id] = -Infinity;
    }
  }
  const lowest = Math.fround(minP);
  for (const [id, score] of scores.entries()) {
    if (Math.exp(score - largest) < lowest) scores[id] = -Infinity;
  }
  return softmax(scores);
}

function softmax(scores: Float32Array): Float64Array {
  const largest = scores.reduce((a, b) => Math.max(a, b));
  const weights = Float64Array.from(scores, (score) => Math.exp(score - largest));
  const total = weights.reduce((sum, weight) => sum + weight);
  return weights.map((weight) => weight / total);
}
