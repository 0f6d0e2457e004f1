import { read, write } from '../../gpu/declaration.ts';
import { defineKernel } from '../../gpu/kernel.ts';
import { assertSizeAtMost } from '../../gpu/kernelLimits.ts';
import { onlineSoftmax, workgroupReduce } from '../shared/helpers.ts';
import { causalAttentionReference } from './reference/causalAttention.ts';

/**
 * Grouped-query attention of the one token of a decode step against the KV cache: `causalAttention` with a single token.
 *
 * `qkv` [1, qkvDim] f32 after rotary, with qkvDim = (heads + 2 · kvHeads) · headDim, headDim even and at most 256;
 * `kCache`, `vCache` [kvHeads, context, headDim] f32 with the token written; `start` [1] u32: its cache index
 * → [1, heads · headDim] f32.
 * Follows: modeling_qwen2_5.py, Qwen2Attention
 */
export const decodeAttention = defineKernel({
  name: 'decodeAttention',
  code: new URL('./decodeAttention.wgsl', import.meta.url),
  helpers: [onlineSoftmax, workgroupReduce],
  bindings: {
    qkv: read('f32', [1, 'qkvDim']),
    kCache: read('f32', ['kvHeads', 'context', 'headDim']),
    vCache: read('f32', ['kvHeads', 'context', 'headDim']),
    start: read('u32', [1]),
    out: write('f32', [1, ({ qkvDim, kvHeads, headDim }) => qkvDim - 2 * kvHeads * headDim]),
  },
  constants: { WORKGROUP_SIZE: 64 },
  dispatch: ({ qkvDim, kvHeads, headDim }, { MAX_HEAD_DIM }) => {
    assertSizeAtMost('decodeAttention', 'headDim', headDim, MAX_HEAD_DIM);
    return [qkvDim / headDim - 2 * kvHeads];
  },
  reference: causalAttentionReference,
  touches: ({ context }, { start }) => {
    const keys = (start[0] + 1) / context;
    return { kCache: keys, vCache: keys };
  },
  flops: ({ qkvDim, kvHeads, headDim }, { start }) => 4 * (qkvDim - 2 * kvHeads * headDim) * (start[0] + 1),
  cases: [
    attentionCase('first token', { heads: 2, kvHeads: 1, headDim: 10, context: 4 }, 0),
    attentionCase('heads of 16, three to a key head', { heads: 9, kvHeads: 3, headDim: 16, context: 40 }, 33),
    attentionCase('one key less than a tile', { heads: 2, kvHeads: 1, headDim: 32, context: 70 }, 62),
    attentionCase('a full tile', { heads: 2, kvHeads: 1, headDim: 32, context: 70 }, 63),
    attentionCase('one key more than a tile', { heads: 2, kvHeads: 2, headDim: 64, context: 70 }, 64),
    attentionCase('the 7B heads of 128', { heads: 28, kvHeads: 4, headDim: 128, context: 90 }, 88),
    attentionCase('many tiles', { heads: 2, kvHeads: 1, headDim: 32, context: 260 }, 256),
    { ...attentionCase('large scores', { heads: 2, kvHeads: 1, headDim: 16, context: 70 }, 65), scale: 10 },
    { ...attentionCase('zeros', { heads: 2, kvHeads: 2, headDim: 8, context: 4 }, 1), scale: 0 },
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
