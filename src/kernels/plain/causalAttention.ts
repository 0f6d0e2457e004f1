import { read, write } from '../../gpu/declaration.ts';
import { defineKernel } from '../../gpu/kernel.ts';
import { assertSizeAtMost } from '../../gpu/kernelLimits.ts';
import { flatGroup } from '../shared/helpers.ts';
import { causalAttentionReference } from './reference/causalAttention.ts';

/**
 * Causal grouped-query attention of a prompt's tokens against the KV cache.
 *
 * `qkv` [tokens, qkvDim] f32 after rotary, with qkvDim = (heads + 2 · kvHeads) · headDim, headDim even and at most 256;
 * `kCache`, `vCache` [kvHeads, context, headDim] f32 with the new tokens written; `start` [1] u32: cache index of token 0
 * → [tokens, heads · headDim] f32.
 * Follows: modeling_qwen2_5.py, Qwen2Attention
 */
export const causalAttention = defineKernel({
  name: 'causalAttention',
  code: new URL('./causalAttention.wgsl', import.meta.url),
  helpers: [flatGroup],
  bindings: {
    qkv: read('f32', ['tokens', 'qkvDim']),
    kCache: read('f32', ['kvHeads', 'context', 'headDim']),
    vCache: read('f32', ['kvHeads', 'context', 'headDim']),
    start: read('u32', [1]),
    out: write('f32', ['tokens', ({ qkvDim, kvHeads, headDim }) => qkvDim - 2 * kvHeads * headDim]),
  },
  constants: { WORKGROUP_SIZE: 64 },
  dispatch: ({ tokens, qkvDim, kvHeads, headDim }, { WORKGROUP_SIZE, MAX_HEAD_DIM }) => {
    assertSizeAtMost('causalAttention', 'headDim', headDim, MAX_HEAD_DIM);
    const heads = qkvDim / headDim - 2 * kvHeads;
    return [Math.ceil((heads * tokens) / WORKGROUP_SIZE)];
  },
  reference: causalAttentionReference,
  touches: ({ tokens, context }, { start }) => {
    const keys = (start[0] + tokens) / context;
    return { kCache: keys, vCache: keys };
  },
  flops: ({ tokens, qkvDim, kvHeads, headDim }, { start }) => {
    const keys = tokens * start[0] + (tokens * (tokens + 1)) / 2; // of all queries of one head
    return 4 * (qkvDim - 2 * kvHeads * headDim) * keys;
  },
  cases: [
    attentionCase(
      'heads of 16, three to a key head',
      { tokens: 5, heads: 9, kvHeads: 3, headDim: 16, context: 6 },
      0,
    ),
    attentionCase(
      'heads of 32, many tokens',
      { tokens: 67, heads: 3, kvHeads: 1, headDim: 32, context: 70 },
      0,
    ),
    attentionCase(
      'continued prompt, heads of 64',
      { tokens: 3, heads: 2, kvHeads: 2, headDim: 64, context: 80 },
      62,
    ),
    attentionCase('the 7B heads of 128', { tokens: 4, heads: 28, kvHeads: 4, headDim: 128, context: 30 }, 20),
    attentionCase('one token', { tokens: 1, heads: 2, kvHeads: 1, headDim: 10, context: 4 }, 0),
    {
      ...attentionCase('large scores', { tokens: 4, heads: 2, kvHeads: 1, headDim: 16, context: 70 }, 65),
      scale: 10,
    },
    { ...attentionCase('zeros', { tokens: 2, heads: 2, kvHeads: 2, headDim: 8, context: 4 }, 1), scale: 0 },
  ],
  tolerance: {
    abs: 0,
    rel: 2e-5,
    reason:
      'exp turns the absolute error of a score, 2^-24 times its size (up to 100 here) and a few roundings, into a relative one',
  },
});

function attentionCase(name: string, { heads, ...shape }: Record<string, number>, start: number) {
  const qkvDim = (heads + 2 * shape.kvHeads) * shape.headDim;
  return { name, sizes: { ...shape, qkvDim }, inputs: () => ({ start: Uint32Array.of(start) }) };
}
