import { read, readWrite } from '../../../gpu/declaration.ts';
import { defineKernel } from '../../../gpu/kernel.ts';
import { assertMultipleOf, assertSizeAtMost } from '../../../gpu/kernelLimits.ts';
import type { Symbols } from '../../../gpu/shapes.ts';
import { weightedRows } from '../../shared/helpers.ts';
import {
  attentionCase,
  attentionCases,
  attentionHalfFlops,
  MAX_GROUPS,
  rowBlocks,
} from './attentionScores.ts';
import { attentionValuesReference } from './reference/attentionValues.ts';

const unreadScores = attentionCase(
  'scores that are not read are NaN',
  { tokens: 3, heads: 6, kvHeads: 2, headDim: 16, context: 12 },
  6,
);

/**
 * Causal grouped-query attention, second half: softmax and weighted values of the scores of `attentionScores`.
 *
 * `scores` [kvHeads, rowBlocks, keys, 4] f32; `vCache` [kvHeads, context, headDim] f32 with the new tokens written, headDim a
 * multiple of 8; `start` [1] u32: cache index of token 0; `qkvDim`, `firstToken` and `queries` are those of `attentionScores`.
 * In place on `out` [tokens, heads · headDim] f32: the rows of the asking tokens.
 *
 * @throws KernelError KERNEL_LIMIT when headDim is not a multiple of 8, or there are more than 65,535 workgroups
 * Follows: modeling_qwen2_5.py, Qwen2Attention
 */
export const attentionValues = defineKernel({
  name: 'attentionValues',
  code: new URL('./attentionValues.wgsl', import.meta.url),
  helpers: [weightedRows],
  bindings: {
    scores: read('f32', ['kvHeads', rowBlocks, 'keys', 4]),
    vCache: read('f32', ['kvHeads', 'context', 'headDim']),
    start: read('u32', [1]),
    out: readWrite('f32', ['tokens', ({ qkvDim, kvHeads, headDim }) => qkvDim - 2 * kvHeads * headDim]),
  },
  params: { qkvDim: 'u32', firstToken: 'u32', queries: 'u32' },
  constants: { WORKGROUP_SIZE: 16 },
  dispatch: (sizes, { WORKGROUP_SIZE }) => {
    assertMultipleOf('attentionValues', 'headDim', sizes.headDim, 8);
    const groups = Math.ceil((rowBlocks(sizes) * sizes.headDim) / 8 / WORKGROUP_SIZE);
    assertSizeAtMost('attentionValues', 'workgroups', groups, MAX_GROUPS, 'give fewer tokens in one call');
    return [groups, sizes.kvHeads];
  },
  reference: attentionValuesReference,
  flops: attentionHalfFlops,
  touches: ({ tokens, firstToken, queries, context, keys }, { start }) => {
    const touched = start[0] + firstToken + queries;
    return { vCache: touched / context, scores: touched / keys, out: queries / tokens };
  },
  cases: [
    ...attentionCases(),
    {
      ...attentionCase('large scores', { tokens: 4, heads: 2, kvHeads: 1, headDim: 16, context: 70 }, 65),
      scale: 10,
    },
    { ...unreadScores, inputs: (sizes) => ({ ...unreadScores.inputs(), scores: scoresWithNaN(sizes, 6) }) },
  ],
  tolerance: {
    abs: 0,
    rel: 5e-6,
    reason:
      'exp(x) may be 3 + 2 · |x| ulp off: about 5 ulp, 6e-7, where the weight is large, and as much for each of the ln(keys) or so shrinkings',
  },
});

/** Scores of about [-3, 3], NaN after the last key of a row and in rows past the edge. */
function scoresWithNaN(sizes: Symbols, start: number): Float32Array {
  const { queries, qkvDim, kvHeads, keys, headDim } = sizes;
  const group = qkvDim / headDim / kvHeads - 2;
  const blocks = rowBlocks(sizes);
  return Float32Array.from({ length: kvHeads * blocks * keys * 4 }, (_, index) => {
    const key = Math.floor(index / 4) % keys;
    const row = 4 * (Math.floor(index / 4 / keys) % blocks) + (index % 4);
    const isRead = row < queries * group && key <= start + Math.floor(row / group);
    return isRead ? 3 * Math.sin(index) : Number.NaN;
  });
}
