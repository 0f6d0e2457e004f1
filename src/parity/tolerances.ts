/** How far each stage may be from its golden. The numbers are those of the goldens' README; change one only with a reason there. */
import type { Tolerance } from '../gpu/declaration.ts';

// Float32 against a float64 run of the published code differs by 2.6e-6 of the largest value at most in vision, projector and
// cache, and by 4.3e-6 in the decoder: eight to ten times that leaves room for another order of summation and for nothing else.
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
const PIXELS: Tolerance = { abs: 3e-7, rel: 0, reason: 'float32 normalisation: exact but for a last bit' };

/** The tolerance of a stage by its tap's name. */
export function toleranceOf(stage: string): Tolerance {
  if (stage === 'pixel_values') return PIXELS;
  if (stage.includes('rotary')) return ROTARY;
  if (stage.startsWith('llm.layer') || stage === 'llm.norm' || stage.startsWith('logits')) return DECODER;
  return VISION;
}

/** As reports show it. */
export function describeTolerance({ abs, rel }: Tolerance): string {
  if (abs === 0 && rel === 0) return 'exact';
  return rel === 0 ? `${abs} abs` : `${rel} rel`;
}
