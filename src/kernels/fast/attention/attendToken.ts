import { type Constants, read, readWrite, write } from '../../../gpu/declaration.ts';
import { defineKernel } from '../../../gpu/kernel.ts';
import { assertMultipleOf, assertSizeAtMost } from '../../../gpu/kernelLimits.ts';
import type { Symbols } from '../../../gpu/shapes.ts';
import { products } from '../../shared/helpers.ts';
import { attendTokenReference, attendTokenSplitsReference } from './reference/attendToken.ts';

const headsOf = ({ qkvDim, kvHeads, headDim }: Symbols) => qkvDim / headDim - 2 * kvHeads;
const headBlocks = (sizes: Symbols) => Math.ceil(headsOf(sizes) / sizes.kvHeads / 4);

const inputs = {
  qkv: read('f32', [1, 'qkvDim']),
  angles: read('f32', [2, ({ headDim }) => headDim / 2]),
  start: read('u32', [1]),
  kCache: readWrite('f32', ['kvHeads', 'context', 'headDim']),
  vCache: readWrite('f32', ['kvHeads', 'context', 'headDim']),
} as const;

const contract = {
  code: new URL('./attendToken.wgsl', import.meta.url),
  helpers: [products],
  flops: (sizes: Symbols, { start }: Readonly<Record<string, ArrayLike<number>>>) =>
    4 * headsOf(sizes) * sizes.headDim * (start[0] + 1),
  tolerance: {
    abs: 0,
    rel: 2e-5,
    reason:
      'exp turns the absolute error of a score, 2^-24 times its size (up to 50 here) and a few roundings, into a relative one',
  },
};

/**
 * `mRope`, `writeKv` and `decodeAttention` in one: all of attention for the one token of a decode step.
 *
 * `qkv` [1, qkvDim] f32 before rotary, with qkvDim = (heads + 2 · kvHeads) · headDim, headDim a multiple of 8, and at most 8 heads
 * to a key head; `angles` [2, headDim / 2] f32 of `tokenAngles`; `start` [1] u32: cache index of the token. Puts key and value
 * into `kCache`, `vCache` [kvHeads, context, headDim] f32. `queries` [1, heads · headDim] and `weights`
 * [1, kvHeads, headBlocks, context, 4] f32, with headBlocks = ceil(heads / kvHeads / 4), are memory for what lies in between:
 * the queries after rotary, and exp(score - rowMax) of four heads at a time → [1, heads · headDim] f32.
 *
 * @throws KernelError KERNEL_LIMIT when headDim is not a multiple of 8, or more than 8 heads share a key head
 * Follows: modeling_qwen2_5.py, Qwen2Attention
 */
export const attendToken = defineKernel({
  ...contract,
  name: 'attendToken',
  bindings: {
    ...inputs,
    queries: readWrite('f32', [1, queryDim]),
    weights: readWrite('f32', [1, 'kvHeads', headBlocks, 'splitKeys', 4]),
    out: write('f32', [1, queryDim]),
  },
  constants: { WORKGROUP_SIZE: 8, IS_SPLIT: 0 },
  dispatch: (sizes, constants) => groupsOf('attendToken', { ...sizes, splits: 1 }, constants),
  reference: attendTokenReference,
  cases: [
    tokenCase('first token', { heads: 2, kvHeads: 2, headDim: 32, context: 4 }, 0),
    tokenCase('one key less than 64', { heads: 3, kvHeads: 1, headDim: 32, context: 70 }, 62),
    tokenCase('64 keys', { heads: 3, kvHeads: 1, headDim: 32, context: 70 }, 63),
    tokenCase('65 keys, a full cache', { heads: 6, kvHeads: 2, headDim: 32, context: 65 }, 64),
    tokenCase('the 7B heads of 128', { heads: 28, kvHeads: 4, headDim: 128, context: 20 }, 17),
    tokenCase(
      '255 keys, seven heads to a key head',
      { heads: 7, kvHeads: 1, headDim: 32, context: 256 },
      254,
    ),
    tokenCase('256 keys', { heads: 1, kvHeads: 1, headDim: 32, context: 260 }, 255),
    tokenCase('257 keys', { heads: 1, kvHeads: 1, headDim: 32, context: 260 }, 256),
    tokenCase('smallest head, eight to a key head', { heads: 8, kvHeads: 1, headDim: 8, context: 9 }, 6),
    { ...tokenCase('large scores', { heads: 2, kvHeads: 1, headDim: 16, context: 70 }, 65), scale: 5 },
    { ...tokenCase('zeros', { heads: 5, kvHeads: 1, headDim: 8, context: 4 }, 1), scale: 0 },
  ],
});

/**
 * The same with the keys in splits of `splitKeys`, each on its own: `queries` [splits, heads · headDim] and `weights`
 * [splits, kvHeads, headBlocks, splitKeys, 4] as above.
 *
 * In place on `out` [splits, heads, headDim + 4] f32: of each split that holds a key the attention over its keys, then
 * log Σ exp(score) and three zeros, for `mergeSplits`; other splits are left alone.
 *
 * @throws KernelError KERNEL_LIMIT as `attendToken`, and when the splits don't hold the context
 */
export const attendTokenSplits = defineKernel({
  ...contract,
  name: 'attendTokenSplits',
  bindings: {
    ...inputs,
    queries: readWrite('f32', ['splits', queryDim]),
    weights: readWrite('f32', ['splits', 'kvHeads', headBlocks, 'splitKeys', 4]),
    out: readWrite('f32', ['splits', headsOf, ({ headDim }) => headDim + 4]),
  },
  constants: { WORKGROUP_SIZE: 64, IS_SPLIT: 1 },
  dispatch: (sizes, constants) => groupsOf('attendTokenSplits', sizes, constants),
  reference: attendTokenSplitsReference,
  cases: [
    tokenCase('last key of a split', { heads: 3, kvHeads: 1, headDim: 32, context: 80, splits: 3 }, 63, 32),
    tokenCase('first key of a split', { heads: 3, kvHeads: 1, headDim: 32, context: 80, splits: 3 }, 64, 32),
    tokenCase(
      'splits of 256, first key',
      { heads: 1, kvHeads: 1, headDim: 8, context: 400, splits: 2 },
      256,
      256,
    ),
    tokenCase('an unused split', { heads: 28, kvHeads: 4, headDim: 128, context: 20, splits: 3 }, 10, 8),
    tokenCase(
      'the last split ends early',
      { heads: 14, kvHeads: 2, headDim: 64, context: 35, splits: 4 },
      34,
      9,
    ),
    {
      ...tokenCase('large scores', { heads: 2, kvHeads: 1, headDim: 16, context: 70, splits: 2 }, 65, 40),
      scale: 5,
    },
  ],
});

function queryDim(sizes: Symbols): number {
  return headsOf(sizes) * sizes.headDim;
}

/** @throws KernelError KERNEL_LIMIT */
function groupsOf(kernel: string, sizes: Symbols, { MAX_GROUP }: Constants): number[] {
  const { kvHeads, context, headDim, splits, splitKeys } = sizes;
  assertMultipleOf(kernel, 'headDim', headDim, 8);
  assertSizeAtMost(kernel, 'heads / kvHeads', headsOf(sizes) / kvHeads, MAX_GROUP);
  assertSizeAtMost(kernel, 'context', context, splits * splitKeys, 'give more splits');
  return [kvHeads, splits];
}

/** @param start cache index of the token @param splitKeys default: the whole context */
export function tokenCase(
  name: string,
  { heads, ...shape }: Record<string, number>,
  start: number,
  splitKeys = shape.context,
) {
  const qkvDim = (heads + 2 * shape.kvHeads) * shape.headDim;
  return { name, sizes: { ...shape, qkvDim, splitKeys }, inputs: () => ({ start: Uint32Array.of(start) }) };
}
