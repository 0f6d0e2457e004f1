import { type KernelCase, read, write } from '../../gpu/declaration.ts';
import { defineKernel } from '../../gpu/kernel.ts';
import { finite, random, samplingCut } from '../shared/helpers.ts';
import { sampleTokenReference } from './reference/sampleToken.ts';

const OFF = { temperature: 1, topK: 0, topP: 1, minP: 0 };
type Limits = typeof OFF;

/**
 * Draws a token after temperature, top-k, top-p and min-p. `NO_TOKEN` when a logit is NaN or +Infinity, or none is finite.
 *
 * `logits` [1, vocab] f32, `length` [1] u32 (which of the seed's random numbers to take) → [1] u32.
 * Off are topK at 0, topP at 1, minP at 0; `temperature` is above 0. Of tokens that tie at the cut of top-p the highest ids stay.
 * Follows: transformers 4.49, generation/utils.py, _sample
 */
export const sampleToken = defineKernel({
  name: 'sampleToken',
  code: new URL('./sampleToken.wgsl', import.meta.url),
  helpers: [finite, samplingCut, random],
  bindings: {
    logits: read('f32', [1, 'vocab']),
    length: read('u32', [1]),
    out: write('u32', [1]),
  },
  params: { temperature: 'f32', topK: 'u32', topP: 'f32', minP: 'f32', seedLow: 'u32', seedHigh: 'u32' },
  constants: { WORKGROUP_SIZE: 64 },
  dispatch: () => [1],
  reference: sampleTokenReference,
  cases: [
    drawCase('everything, odd size', 997, {}),
    drawCase('the model page', 997, { temperature: 0.9, topK: 40, topP: 0.9 }, 5),
    drawCase('min-p', 600, { minP: 0.3 }, 3),
    drawCase('one token', 1, { topK: 40, topP: 0.9 }),
    drawCase('the largest alone', 300, { topK: 1 }),
    drawCase('the 7B vocabulary', 152_064, { temperature: 0.9, topK: 40, topP: 0.9 }, 20),
    drawCase('the 7B vocabulary, all of it', 152_064, {}, 3),
    drawCase('zeros', 300, { topK: 5, topP: 0.5 }, 0),
    givenCase('banned tokens', [-Infinity, 1, -Infinity, 2], { topK: 3, topP: 0.99 }),
    givenCase('ties at the cut of top-p: the highest ids stay', [3, 2, 2, 1, 2, 0], { topP: 0.7 }),
    givenCase('NaN', [1, Number.NaN, 2], { topK: 1 }),
    givenCase('+Infinity', [1, Infinity, 2], { topP: 0.5 }),
    givenCase('nothing but bans', [-Infinity, -Infinity], {}),
  ],
  tolerance: { abs: 0, rel: 0, reason: 'an id: exact' },
});

function drawCase(name: string, vocab: number, limits: Partial<Limits>, scale = 1): KernelCase {
  const sizes = { vocab, ...OFF, seedLow: 20_240, seedHigh: 7, ...limits };
  return { name, sizes, scale, inputs: () => ({ length: Uint32Array.of(vocab) }) };
}

function givenCase(name: string, logits: readonly number[], limits: Partial<Limits>): KernelCase {
  const drawn = drawCase(name, logits.length, limits);
  return { ...drawn, inputs: () => ({ logits: Float32Array.from(logits), length: Uint32Array.of(9) }) };
}
