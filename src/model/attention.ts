/** Attention: the one place that knows which kernels run it. */
import type { Pass } from '../gpu/pass.ts';
import { sizeBytes, type Tensor } from '../gpu/tensor.ts';
import type { ModelKernels } from './kernelChoice.ts';
import type { KvCache, LayerCache, Rotary } from './kvCache.ts';

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
  { rotary, start, layers }: KvCache,
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
  { rotary, start, layers }: KvCache,
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
  return causalAttention(pass, kernels, qkv, layers[layer], start);
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
): Tensor {
  const [tokens, qkvDim] = qkv.shape;
  const [kvHeads, context, headDim] = kCache.shape;
  const heads = qkvDim / headDim - 2 * kvHeads;
  const shape = [kvHeads, Math.ceil((tokens * heads) / kvHeads / 4), context, 4];
  if (kernels.twoPassAttention && headDim % 8 === 0 && hasRoom(pass, shape)) {
    const scores = pass.allocate('f32', shape, 'attention scores'); // [kvHeads, rowBlocks, context, 4]
    kernels.attentionScores(pass, { qkv, kCache, start, scores });
    return kernels.attentionValues(pass, { scores, vCache, start }, { tokens, qkvDim });
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
  const shape = [numHeads, Math.ceil(patches / 4), patches, 4];
  if (kernels.twoPassVision && (qkvDim / 3 / numHeads) % 8 === 0 && hasRoom(pass, shape)) {
    const scores = pass.allocate('f32', shape, 'vision scores'); // [numHeads, patchBlocks, patches, 4]
    kernels.visionScores(pass, { qkv, segments, scores }, { numHeads });
    return kernels.visionValues(pass, { scores, qkv, segments }, { numHeads });
  }
  return kernels.visionAttention(pass, { qkv, segments }, { numHeads });
}

const MAX_SCORES_BYTES = 128 * 2 ** 20; // of scratch memory; beyond it attention goes key by key, without scores

function hasRoom({ gpu }: Pass, shape: readonly number[]): boolean {
  return sizeBytes({ dtype: 'f32', shape }) <= Math.min(MAX_SCORES_BYTES, gpu.maxBindingBytes);
}
