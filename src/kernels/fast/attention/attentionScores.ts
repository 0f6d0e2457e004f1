import { read, readWrite } from '../../../gpu/declaration.ts';
import { defineKernel } from '../../../gpu/kernel.ts';
import { assertMultipleOf, assertSizeAtMost } from '../../../gpu/kernelLimits.ts';
import type { Symbols } from '../../../gpu/shapes.ts';
import { products, scoreBlock } from '../../shared/helpers.ts';
import { attentionScoresReference } from './reference/attentionScores.ts';

export const MAX_GROUPS = 65_535; // of one axis: grids in two and three dimensions are not folded

/**
 * Causal grouped-query attention, first half: the scores of queries and cached keys. `attentionValues` is the second.
 *
 * `qkv` [tokens, qkvDim] f32 after rotary, with qkvDim = (heads + 2 · kvHeads) · headDim, headDim a multiple of 4;
 * `kCache` [kvHeads, context, headDim] f32 with the new tokens written; `start` [1] u32: cache index of token 0.
 * In place on `scores` [kvHeads, rowBlocks, keys, 4] f32, of the tokens firstToken … firstToken + queries - 1: row 4 · block + i is
 * (token - firstToken) · group + head % group, with group = heads / kvHeads. `keys` is start + firstToken + queries or more, at most
 * context. Blocks of four keys after the last key of their rows are left alone.
 *
 * @throws KernelError KERNEL_LIMIT when headDim is not a multiple of 4, or there are more than 65,535 blocks of rows
 * Follows: modeling_qwen2_5.py, Qwen2Attention
 */
export const attentionScores = defineKernel({
  name: 'attentionScores',
  code: new URL('./attentionScores.wgsl', import.meta.url),
  helpers: [products, scoreBlock],
  bindings: {
    qkv: read('f32', ['tokens', 'qkvDim']),
    kCache: read('f32', ['kvHeads', 'context', 'headDim']),
    start: read('u32', [1]),
    scores: readWrite('f32', ['kvHeads', rowBlocks, 'keys', 4]),
  },
  params: { firstToken: 'u32', queries: 'u32' },
  constants: { WORKGROUP_SIZE: 16 },
  dispatch: (sizes, { WORKGROUP_SIZE }) => {
    assertMultipleOf('attentionScores', 'headDim', sizes.headDim, 4);
    assertSizeAtMost(
      'attentionScores',
      'rowBlocks',
      rowBlocks(sizes),
      MAX_GROUPS,
      'give fewer tokens in one call',
    );
    return [Math.ceil(sizes.keys / 4 / WORKGROUP_SIZE), rowBlocks(sizes), sizes.kvHeads];
  },
  reference: attentionScoresReference,
  flops: attentionHalfFlops,
  touches: ({ tokens, firstToken, queries, context, keys }, { start }) => {
    const touched = start[0] + firstToken + queries;
    return { qkv: queries / tokens, kCache: touched / context, scores: touched / keys };
  },
  cases: [
    ...attentionCases(),
    attentionCase('smallest head', { tokens: 2, heads: 3, kvHeads: 1, headDim: 4, context: 5 }, 1),
    {
      ...attentionCase('large scores', { tokens: 4, heads: 2, kvHeads: 1, headDim: 16, context: 70 }, 65),
      scale: 10,
    },
  ],
  tolerance: {
    abs: 0,
    rel: 2e-6,
    reason:
      'a sum of headDim products in f32, sqrt(headDim) · 2^-24 = 7e-7 for 128, times a root and a quotient of 7 ulp together, 9e-7',
  },
});

/** How many blocks of four rows the query heads of the asking tokens make that share a key head. */
export function rowBlocks({ queries, qkvDim, kvHeads, headDim }: Symbols): number {
  const heads = qkvDim / headDim - 2 * kvHeads;
  return Math.ceil((queries * heads) / kvHeads / 4);
}

/** A product and a sum for each query, key and dimension. */
export function attentionHalfFlops(
  { firstToken, queries, qkvDim, kvHeads, headDim }: Symbols,
  { start }: Readonly<Record<string, ArrayLike<number>>>,
): number {
  const keys = queries * (start[0] + firstToken) + (queries * (queries + 1)) / 2; // of all queries of one head
  return 2 * (qkvDim - 2 * kvHeads * headDim) * keys;
}

/** Cases of both halves. */
export function attentionCases() {
  return [
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
    attentionCase('a full cache', { tokens: 2, heads: 4, kvHeads: 2, headDim: 8, context: 7 }, 5),
    attentionCase('the 7B heads of 128', { tokens: 4, heads: 28, kvHeads: 4, headDim: 128, context: 30 }, 20),
    attentionCase('first token', { tokens: 1, heads: 2, kvHeads: 1, headDim: 8, context: 4 }, 0),
    attentionCase('one token', { tokens: 1, heads: 28, kvHeads: 4, headDim: 128, context: 90 }, 88),
    attentionCase(
      'one token, many keys',
      { tokens: 1, heads: 2, kvHeads: 1, headDim: 32, context: 260 },
      256,
    ),
    attentionCase(
      'some of the tokens, some of the cache',
      { tokens: 9, firstToken: 3, queries: 5, heads: 6, kvHeads: 2, headDim: 16, context: 40, keys: 21 },
      13,
    ),
    {
      ...attentionCase('zeros', { tokens: 2, heads: 2, kvHeads: 2, headDim: 8, context: 4 }, 1),
      scale: 0,
    },
  ];
}

/** @param shape without `queries` and `keys` all tokens ask, and scores have room for the whole cache */
export function attentionCase(name: string, { heads, ...shape }: Record<string, number>, start: number) {
  const { tokens, kvHeads, context, headDim } = shape;
  const qkvDim = (heads + 2 * kvHeads) * headDim;
  const sizes = { firstToken: 0, queries: tokens, keys: context, ...shape, qkvDim };
  return { name, sizes, inputs: () => ({ start: Uint32Array.of(start) }) };
}
