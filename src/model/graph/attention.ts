/** Attention of the decoder and of the vision tower. */
import type { Pass } from '../../gpu/pass.ts';
import type { Tensor } from '../../gpu/tensor.ts';
import type { PlainKernels } from '../../kernels/plain/plainKernels.ts';
import type { AttendedCache, Rotary } from './kvCache.ts';

/** An implementation of attention with its own kernels, chosen at load. `plainAttention` is one. */
export interface Attention {
  /** Prepares a decoder step of `tokens` tokens. @returns the function to call in each layer */
  decoder(pass: Pass, cache: AttendedCache, tokens: number): Attend;
  /** Attention within segments: `qkv` [patches, 3 · hiddenSize] f32, `segments` [patches, 2] u32 → [patches, hiddenSize] f32. */
  vision(pass: Pass, qkv: Tensor, segments: Tensor, numHeads: number): Tensor;
}

/**
 * Rotates the queries and keys of `qkv` [tokens, qkvDim] f32, writes keys and values to the layer's cache from `start` on, and
 * computes causal attention over the cache → [tokens, heads · headDim] f32. Taps `llm.layerN.attn.qkv`.
 */
export type Attend = (qkv: Tensor, layer: number) => Tensor;

/** The plain form: one kernel per step. Follows: modeling_qwen2_5.py, Qwen2Attention; qwen2_5_vit.py, Qwen2_5_VLVisionAttention */
export function plainAttention(kernels: PlainKernels): Attention {
  return {
    decoder:
      (pass, { layers, start, rotary }, tokens) =>
      (qkv, layer) => {
        const { k: kCache, v: vCache } = layers[layer]; // [kvHeads, context, headDim] each
        rotate(pass, kernels, qkv, rotary, start, kCache);
        kernels.writeKv(pass, { qkv, start, kCache, vCache });
        pass.tap(`llm.layer${layer}.attn.qkv`, qkv);
        const attend = tokens === 1 ? kernels.decodeAttention : kernels.causalAttention;
        return attend(pass, { qkv, kCache, vCache, start }); // [tokens, heads · headDim]
      },
    vision: (pass, qkv, segments, numHeads) => kernels.visionAttention(pass, { qkv, segments }, { numHeads }),
  };
}

/** Rotates the query and key heads of `qkv` [tokens, qkvDim] f32 by their positions, in place. */
export function rotate(
  pass: Pass,
  kernels: Pick<PlainKernels, 'mRope'>,
  qkv: Tensor,
  { firstPosition, ...tables }: Rotary,
  start: Tensor, // [1] u32
  kCache: Tensor, // [kvHeads, context, headDim]
): void {
  const [kvHeads, , headDim] = kCache.shape;
  const rotatedHeads = qkv.shape[1] / headDim - kvHeads; // queries and keys, not values
  kernels.mRope(pass, { qkv, ...tables, start }, { rotatedHeads, firstPosition });
}
