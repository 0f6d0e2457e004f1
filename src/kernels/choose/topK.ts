import { read, write } from '../../gpu/declaration.ts';
import { defineKernel } from '../../gpu/kernel.ts';
import { finite } from '../shared/helpers.ts';
import { topKReference } from './reference/topK.ts';

/**
 * The k largest of `scores` [1, vocab] f32, largest first: `ids` [k] u32 and `values` [k] f32; k is the length of `ids`.
 * Of equal scores the lower id comes first. Scores that are not finite are passed over; empty places hold NO_TOKEN.
 * Follows: torch.topk, as transformers' beam search calls it
 */
export const topK = defineKernel({
  name: 'topK',
  code: new URL('./topK.wgsl', import.meta.url),
  helpers: [finite],
  bindings: {
    scores: read('f32', [1, 'vocab']),
    ids: write('u32', ['k']),
    values: write('f32', ['k']),
  },
  constants: { WORKGROUP_SIZE: 128 },
  dispatch: () => [1],
  reference: topKReference,
  cases: [
    { name: 'odd size', sizes: { vocab: 997, k: 10 } },
    { name: 'all of them', sizes: { vocab: 5, k: 5 } },
    { name: 'more than there are', sizes: { vocab: 3, k: 5 } },
    { name: 'the largest alone', sizes: { vocab: 300, k: 1 } },
    { name: 'the 7B vocabulary', sizes: { vocab: 152_064, k: 4 }, scale: 20 },
    { name: 'zeros: the lowest ids', sizes: { vocab: 300, k: 4 }, scale: 0 },
    topKCase('equal scores', [1, 7, 0, 7, 7, 2], 4),
    topKCase('not finite', [Number.NaN, -1, Infinity, 5, -Infinity], 3),
  ],
  tolerance: { abs: 0, rel: 0, reason: 'a choice of what is there: exact' },
});

function topKCase(name: string, scores: readonly number[], k: number) {
  return { name, sizes: { vocab: scores.length, k }, inputs: () => ({ scores: Float32Array.from(scores) }) };
}
