/** Attention: the one place that knows which kernels run it. */
import type { Pass } from '../../gpu/pass.ts';
import type { Tensor } from '../../gpu/tensor.ts';
import type { ModelKernels } from '../load/kernelChoice.ts';
import type { AttendedCache, LayerCache, Rotary } from './kvCache.ts';

const MAX_FUSED_GROUP = 8; // query heads of a key head that attendToken has room for

/**
 * Begins a decode step whose layers do rotation, cache and attention in one.
 *
 * @returns [2, headDim / 2], what every layer turns its heads with; null where these go one by one: for several tokens, and for
 *   heads that the kernel has no room for
 */
export function beginAttention(
  pass: Pass,
  kernels: ModelKernels,
  tokens: number,
  heads: number,
  { rotary, start, layers }: AttendedCache,
): Tensor | null {
  const [kvHeads, , headDim] = layers[0].k.shape;
  const fits = tokens === 1 && headDim % 8 === 0 && heads <= MAX_FUSED_GROUP * kvHeads;
  if (!kernels.fusesDecode || !fits) return null;
  const { firstPosition, ...tables } = rotary;
  return kernels.tokenAngles(pass, { ...tables, start }, { firstPosition });
}

/**
 * Rotates queries and keys of `qkv` [tokens, qkvDim], puts keys and values into the cache from `start` on, and attends to it.
 *
 * @param angles of `beginAttention`
 * @returns [tokens, heads · headDim]
 */
export function attendToCache(
  pass: Pass,
  kernels: ModelKernels,
  qkv: Tensor,
  { rotary, start, layers, keys }: AttendedCache,
  layer: number,
  angles: Tensor | null,
): Tensor {
  const stage = `llm.layer${layer}.attn.qkv`;
  if (angles) {
    if (pass.isTapped) pass.tap(stage, rotatedCopy(pass, kernels, qkv, rotary, start, layers[layer]));
    return attendToken(pass, kernels, qkv, layers[layer], start, angles);
  }
  rotateAndCache(pass, kernels, qkv, rotary, start, layers[layer]);
  pass.tap(stage, qkv);
  return causalAttention(pass, kernels, qkv, layers[layer], start, keys);
}

/** All of attention for one token: `qkv` [1, qkvDim] before rotary → [1, heads · headDim]. */
function attendToken(
  pass: Pass,
  kernels: ModelKernels,
  qkv: Tensor,
  { k: kCache, v: vCache }: LayerCache, // [kvHeads, context, headDim] each
  start: Tensor, // [1]
  angles: Tensor, // [2, headDim / 2]
): Tensor {
  const [kvHeads, context, headDim] = kCache.shape;
  const heads = qkv.shape[1] / headDim - 2 * kvHeads;
  const splitKeys = Math.min(context, kernels.decodeSplitKeys);
  const splits = Math.ceil(context / splitKeys);
  const headBlocks = Math.ceil(heads / kvHeads / 4);
  const tensors = {
    qkv,
    angles,
    start,
    kCache,
    vCache,
    queries: pass.allocate('f32', [splits, heads * headDim], 'queries'),
    weights: pass.allocate('f32', [splits, kvHeads, headBlocks, splitKeys, 4], 'attention weights'),
  };
  if (splits === 1) return kernels.attendToken(pass, tensors);
  const partials = pass.allocate('f32', [splits, heads, headDim + 4], 'attention of splits');
  kernels.attendTokenSplits(pass, { ...tensors, out: partials });
  return kernels.mergeSplits(pass, { partials, start }, { headDim, splitKeys });
}

/** What `attendToken` rotates on the way and shows nobody. */
function rotatedCopy(
  pass: Pass,
  kernels: ModelKernels,
  qkv: Tensor,
  rotary: Rotary,
  start: Tensor, // [1]
  cache: LayerCache,
): Tensor {
  const copy = pass.allocate('f32', qkv.shape, 'rotated qkv'); // [1, qkvDim]
  pass.copy(qkv, copy);
  rotate(pass, kernels, copy, rotary, start, cache);
  return copy;
}

/** Rotates queries and keys of `qkv` [tokens, qkvDim] in place, and puts keys and values into the cache from `start` on. */
function rotateAndCache(
  pass: Pass,
  kernels: ModelKernels,
  qkv: Tensor,
  { firstPosition, ...rotary }: Rotary,
  start: Tensor, // [1]
  { k: kCache, v: vCache }: LayerCache, // [kvHeads, context, headDim] each
): void {
  if (kernels.fusesCache) {
    kernels.rotateAndCache(pass, { qkv, ...rotary, start, kCache, vCache }, { firstPosition });
    return;
  }
  rotate(pass, kernels, qkv, { firstPosition, ...rotary }, start, { k: kCache, v: vCache });
  kernels.writeKv(pass, { qkv, start, kCache, vCache });
}

function rotate(
  pass: Pass,
  kernels: ModelKernels,
  qkv: Tensor,
  { firstPosition, ...rotary }: Rotary,
  start: Tensor, // [1]
  { k }: LayerCache, // [kvHeads, context, headDim]
): void {
  const [kvHeads, , headDim] = k.shape;
  const rotatedHeads = qkv.shape[1] / headDim - kvHeads; // queries and keys
  kernels.mRope(pass, { qkv, ...rotary, start }, { rotatedHeads, firstPosition });
}

/** Causal attention of the tokens from `start` on: `qkv` [tokens, qkvDim] → [tokens, heads · headDim]. */
function causalAttention(
  pass: Pass,
  kernels: ModelKernels,
  qkv: Tensor,
  { k: kCache, v: vCache }: LayerCache, // [kvHeads, context, headDim] each
  start: Tensor, // [1]
  keys: number,
): Tensor {
  const [tokens, qkvDim] = qkv.shape;
  const [kvHeads, , headDim] = kCache.shape;
  const heads = qkvDim / headDim - 2 * kvHeads;
  if (kernels.twoPassAttention && headDim % 8 === 0) {
    const out = pass.allocate('f32', [tokens, heads * headDim], 'attended');
    for (const [firstToken, queries] of parts(pass, tokens, heads * keys)) {
      pass.scope(() => {
        const rowBlocks = Math.ceil((queries * heads) / kvHeads / 4);
        const scores = pass.allocate('f32', [kvHeads, rowBlocks, keys, 4], 'attention scores');
        kernels.attentionScores(pass, { qkv, kCache, start, scores }, { firstToken, queries });
        return kernels.attentionValues(pass, { scores, vCache, start, out }, { qkvDim, firstToken, queries });
      });
    }
    return out;
  }
  const attention = tokens === 1 ? kernels.decodeAttention : kernels.causalAttention;
  return attention(pass, { qkv, kCache, vCache, start });
}

/** Attention within segments: `qkv` [patches, 3 · hiddenSize], `segments` [patches, 2] → [patches, hiddenSize]. */
export function visionAttention(
  pass: Pass,
  kernels: ModelKernels,
  qkv: Tensor,
  segments: Tensor,
  numHeads: number,
): Tensor {
  const [patches, qkvDim] = qkv.shape;
  if (kernels.twoPassVision && (qkvDim / 3 / numHeads) % 8 === 0) {
    const out = pass.allocate('f32', [patches, qkvDim / 3], 'attended');
    for (const [firstPatch, queries] of parts(pass, patches, numHeads * patches)) {
      pass.scope(() => {
        const scores = pass.allocate('f32', [numHeads, Math.ceil(queries / 4), patches, 4], 'vision scores');
        kernels.visionScores(pass, { qkv, segments, scores }, { numHeads, firstPatch, queries });
        return kernels.visionValues(pass, { scores, qkv, segments, out }, { numHeads, firstPatch, queries });
      });
    }
    return out;
  }
  return kernels.visionAttention(pass, { qkv, segments }, { numHeads });
}

const MAX_SCORES_BYTES = 128 * 2 ** 20; // of scratch memory

/** [first, count] of as many queries as there is room for the scores of at a time. */
function* parts({ gpu }: Pass, queries: number, scoresOfQuery: number): Generator<[number, number]> {
  const roomBytes = Math.min(MAX_SCORES_BYTES, gpu.maxBindingBytes);
  const most = Math.max(4, Math.floor(roomBytes / 4 / scoresOfQuery / 4) * 4); // whole blocks of four
  for (let first = 0; first < queries; first += most) yield [first, Math.min(most, queries - first)];
}
