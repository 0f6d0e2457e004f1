/** The tolerance of each stage, as in the goldens' README. Change a number only with a reason there. */
import type { Tolerance } from '../gpu/declaration.ts';

// A float32 run of the published code differs from a float64 run by at most 2.6e-6 of the largest value in vision, projector and
// cache, and by 4.3e-6 in the decoder. Eight to ten times that allows another order of summation, but no real difference.
const VISION: Tolerance = {
  abs: 0,
  rel: 2e-5,
  reason: 'vision, projector, cache: 8 to 10 times the float32 error',
};
const DECODER: Tolerance = {
  abs: 0,
  rel: 4e-5,
  reason: 'decoder, norm, logits: 8 to 10 times the float32 error',
};
const ROTARY: Tolerance = {
  abs: 2e-5,
  rel: 0,
  reason: 'float32 angles, rounded where the published code rounds',
};
const PIXELS: Tolerance = { abs: 3e-7, rel: 0, reason: 'float32 normalisation: exact up to the last bit' };

/** The tolerance of a stage. @param stage the name of its tap */
export function toleranceOf(stage: string): Tolerance {
  if (stage === 'pixel_values') return PIXELS;
  if (stage.includes('rotary')) return ROTARY;
  if (stage.startsWith('llm.layer') || stage === 'llm.norm' || stage.startsWith('logits')) return DECODER;
  return VISION;
}

/** A tolerance as reports show it. */
export function describeTolerance({ abs, rel }: Tolerance): string {
  if (abs === 0 && rel === 0) return 'exact';
  return rel === 0 ? `${abs} abs` : `${rel} rel`;
}
