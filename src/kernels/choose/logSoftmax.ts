import { readWrite } from '../../gpu/declaration.ts';
import { defineKernel } from '../../gpu/kernel.ts';
import { workgroupReduce } from '../shared/helpers.ts';
import { logSoftmaxReference } from './reference/logSoftmax.ts';

/**
 * Log-probabilities of one row of logits, `scores` [1, vocab] f32, in place.
 * Follows: torch.log_softmax
 */
export const logSoftmax = defineKernel({
  name: 'logSoftmax',
  code: new URL('./logSoftmax.wgsl', import.meta.url),
  helpers: [workgroupReduce],
  bindings: { scores: readWrite('f32', [1, 'vocab']) },
  constants: { WORKGROUP_SIZE: 128 },
  dispatch: () => [1],
  reference: logSoftmaxReference,
  cases: [
    { name: 'odd size', sizes: { vocab: 997 }, scale: 8 },
    { name: 'one logit', sizes: { vocab: 1 } },
    { name: 'fewer logits than threads', sizes: { vocab: 7 } },
    { name: 'the 7B vocabulary', sizes: { vocab: 152_064 }, scale: 12 },
    { name: 'large values', sizes: { vocab: 300 }, scale: 1e4 },
    { name: 'zeros', sizes: { vocab: 300 }, scale: 0 },
  ],
  tolerance: {
    abs: 1e-6,
    rel: 1e-6,
    reason: 'a sum of vocab exponentials under a logarithm, then two subtractions',
  },
});
