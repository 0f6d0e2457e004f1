import { type KernelCase, read, write } from '../../gpu/declaration.ts';
import { defineKernel } from '../../gpu/kernel.ts';
import { samplingCut } from '../shared/helpers.ts';
import { tokenProbabilitiesReference } from './reference/tokenProbabilities.ts';

const OFF = { temperature: 1, topK: 0, topP: 1, minP: 0 };

/**
 * The probabilities that `sampleToken` draws with, for tests and for looking at them. Not defined where that gives `NO_TOKEN`.
 *
 * `logits` [1, vocab] f32 → [1, vocab] f32. Params as there.
 * Follows: transformers 4.49, generation/logits_process.py, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper,
 *   MinPLogitsWarper
 */
export const tokenProbabilities = defineKernel({
  name: 'tokenProbabilities',
  code: new URL('./tokenProbabilities.wgsl', import.meta.url),
  helpers: [samplingCut],
  bindings: { logits: read('f32', [1, 'vocab']), out: write('f32', [1, 'vocab']) },
  params: { temperature: 'f32', topK: 'u32', topP: 'f32', minP: 'f32' },
  constants: { WORKGROUP_SIZE: 64 },
  dispatch: () => [1],
  reference: tokenProbabilitiesReference,
  cases: [
    { name: 'a softmax, odd size', sizes: { vocab: 997, ...OFF } },
    { name: 'one token', sizes: { vocab: 1, ...OFF, topK: 40, topP: 0.9 } },
    {
      name: 'the model page',
      sizes: { vocab: 997, ...OFF, temperature: 0.9, topK: 40, topP: 0.9 },
      scale: 5,
    },
    { name: 'top-k above the vocabulary', sizes: { vocab: 10, ...OFF, topK: 40 } },
    { name: 'min-p', sizes: { vocab: 600, ...OFF, minP: 0.3 }, scale: 3 },
    {
      name: 'all limits',
      sizes: { vocab: 600, temperature: 1.7, topK: 100, topP: 0.8, minP: 0.5 },
      scale: 3,
    },
    { name: 'hot', sizes: { vocab: 600, ...OFF, temperature: 50, topP: 0.3 }, scale: 100 },
    { name: 'cold', sizes: { vocab: 600, ...OFF, temperature: 0.01, topP: 0.999 }, scale: 20 },
    { name: 'zeros', sizes: { vocab: 300, ...OFF, topK: 5, topP: 0.5 }, scale: 0 },
    { name: 'the 7B vocabulary', sizes: { vocab: 152_064, ...OFF, topK: 40, topP: 0.9 }, scale: 20 },
    { name: 'the 7B vocabulary, top-p alone', sizes: { vocab: 152_064, ...OFF, topP: 0.9 }, scale: 3 },
    tieCase('ties at the k-th: all stay', [3, 2, 2, 1, 2, -0, 0], { topK: 2 }),
    tieCase('ties at the cut of top-p: the highest ids stay', [3, 2, 2, 1, 2, 0], { topP: 0.7 }),
    tieCase('ties that min-p drops', [3, 2, 2, 1, 2, 0], { topP: 0.7, minP: 0.5 }),
    tieCase('two zeros are equal', [-0, 0, -1], { topK: 1 }),
    tieCase('banned tokens', [-Infinity, 1, -Infinity, 2, 0], { topK: 4, topP: 0.9 }),
  ],
  tolerance: {
    abs: 5e-7,
    rel: 0,
    reason: 'WGSL lets exp(x) be (3 + 2 |x|) 2^-24 off, times the probability exp(x) itself',
  },
});

function tieCase(name: string, logits: readonly number[], limits: Partial<typeof OFF>): KernelCase {
  return {
    name,
    sizes: { vocab: logits.length, ...OFF, ...limits },
    inputs: () => ({ logits: Float32Array.from(logits) }),
  };
}
