// All ways to compute the 7B's attention, to be timed.

// @ts-check
import { kernels, upload } from 'm2-reasoning';
import { numbers } from '../linear.js';

const HEADS = 28;
const KEY_HEADS = 4;
const HEAD_DIM = 128;
const QKV_DIM = (HEADS + 2 * KEY_HEADS) * HEAD_DIM;
const SPLIT_KEYS = 128; // as in src/model/load/forms.ts for a GPU

/** @typedef {import('m2-reasoning').Pass} Pass */
/** @typedef {import('m2-reasoning').Tensor} Tensor */

/**
 * Causal attention of the last `tokens` tokens over `keys` keys.
 *
 * @param {import('m2-reasoning').Gpu} gpu
 * @param {number} tokens 1 for a decode step
 * @param {number} keys
 * @param {number} copies number of caches, which calls use in turns
 */
export function attentionWays(gpu, tokens, keys, copies) {
  const values = numbers(KEY_HEADS * keys * HEAD_DIM);
  const cache = () => upload(gpu, values, [KEY_HEADS, keys, HEAD_DIM], 'cache');
  const caches = Array.from({ length: copies }, () => ({ kCache: cache(), vCache: cache() })); // [kvHeads, keys, headDim] each
  const qkv = upload(gpu, numbers(tokens * QKV_DIM), [tokens, QKV_DIM], 'qkv'); // [tokens, qkvDim]
  const start = upload(gpu, Uint32Array.of(keys - tokens), [1], 'start'); // [1]
  const angles = upload(gpu, numbers(HEAD_DIM), [2, HEAD_DIM / 2], 'angles'); // [2, headDim / 2]
  const pairs = tokens * (keys - tokens) + (tokens * (tokens + 1)) / 2; // pairs of a query and a key, per head
  const bytes = 8 * values.length + 4 * tokens * (QKV_DIM + HEADS * HEAD_DIM);
  let calls = 0;

  /** @param {string} name @param {(pass: Pass, cache: { kCache: Tensor, vCache: Tensor }) => void} call */
  const way = (name, call) => ({
    name,
    bytes,
    /** @param {Pass} pass */
    record(pass) {
      pass.scope(() => {
        call(pass, caches[calls++ % copies]);
        return undefined; // the next call reuses the memory of the intermediates
      });
    },
  });
  /** The tensors for one token. @param {Pass} pass @param {number} splits */
  const tokenTensors = (pass, splits) => {
    const weights = [splits, KEY_HEADS, Math.ceil(HEADS / KEY_HEADS / 4), keys / splits, 4];
    return {
      qkv,
      angles,
      start,
      queries: pass.allocate('f32', [splits, HEADS * HEAD_DIM], 'queries'),
      weights: pass.allocate('f32', weights, 'weights'), // [splits, kvHeads, headBlocks, splitKeys, 4]
    };
  };
  const wide = { constants: { WORKGROUP_SIZE: 64 } };
  const attendToken = gpu.isSoftware ? kernels.attendToken : kernels.attendToken.variant(wide);

  const forOne = [
    way('decodeAttention', (pass, cache) => void kernels.decodeAttention(pass, { qkv, start, ...cache })),
    way('attendToken', (pass, cache) => void attendToken(pass, { ...tokenTensors(pass, 1), ...cache })),
    way('attendTokenSplits + mergeSplits', (pass, cache) => {
      const splits = keys / SPLIT_KEYS;
      const partials = pass.allocate('f32', [splits, HEADS, HEAD_DIM + 4], 'partials'); // [splits, heads, headDim + 4]
      kernels.attendTokenSplits(pass, { ...tokenTensors(pass, splits), ...cache, out: partials });
      kernels.mergeSplits(pass, { partials, start }, { headDim: HEAD_DIM, splitKeys: SPLIT_KEYS });
    }),
  ];
  const forMany = [
    way('causalAttention', (pass, cache) => void kernels.causalAttention(pass, { qkv, start, ...cache })),
  ];
  const twoPasses = way('attentionScores + attentionValues', (pass, { kCache, vCache }) => {
    const rowBlocks = Math.ceil((tokens * HEADS) / KEY_HEADS / 4);
    const scores = pass.allocate('f32', [KEY_HEADS, rowBlocks, keys, 4], 'scores'); // [kvHeads, rowBlocks, keys, 4]
    const out = pass.allocate('f32', [tokens, HEADS * HEAD_DIM], 'out'); // [tokens, heads · headDim]
    const params = { firstToken: 0, queries: tokens };
    kernels.attentionScores(pass, { qkv, kCache, start, scores }, params);
    kernels.attentionValues(pass, { scores, vCache, start, out }, { qkvDim: QKV_DIM, ...params });
  });
  return {
    ways: [...(tokens === 1 ? forOne : forMany), twoPasses],
    flops: 4 * HEADS * HEAD_DIM * pairs,
    tensors: [qkv, start, angles, ...caches.flatMap(({ kCache, vCache }) => [kCache, vCache])],
  };
}
