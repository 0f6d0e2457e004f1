import type { ReferenceArrays } from '../../../gpu/declaration.ts';
import type { Symbols } from '../../../gpu/shapes.ts';
import { NO_TOKEN } from './argmax.ts';
import { uniformRandom } from './random.ts';
import { type SamplingLimits, tokenProbabilities } from './tokenProbabilities.ts';

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
