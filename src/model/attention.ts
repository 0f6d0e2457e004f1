/** Attention: the one place that knows which kernels run it. */
import type { Pass } from '../gpu/pass.ts';
import { sizeBytes, type Tensor } from '../gpu/tensor.ts';
import type { ModelKernels } from './kernelChoice.ts';
import type { LayerCache, Rotary } from './kvCache.ts';

/** Rotates queries and keys of `qkv` [tokens, qkvDim] in place, and puts keys and values into the cache from `start` on. */
export function rotateAndCache(
  pass: Pass,
  kernels: ModelKernels,
  qkv: Tensor,
  { firstPosition, ...rotary }: Rotary,
  start: Tensor, // [1]
  { k: kCache, v: vCache }: LayerCache, // [kvHeads, context, headDim] each
  rotatedHeads: number,
): void {
  if (kernels.fusesCache) {
    kernels.rotateAndCache(pass, { qkv, ...rotary, start, kCache, vCache }, { firstPosition });
    return;
  }
  kernels.mRope(pass, { qkv, ...rotary, start }, { rotatedHeads, firstPosition });
  kernels.writeKv(pass, { qkv, start, kCache, vCache });
}

/** Causal attention of the tokens from `start` on: `qkv` [tokens, qkvDim] → [tokens, heads · headDim]. */
export function causalAttention(
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
