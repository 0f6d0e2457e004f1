/** Attention of the decoder and of the vision tower. */
import type { Pass } from '../../gpu/pass.ts';
import type { Tensor } from '../../gpu/tensor.ts';
import type { PlainKernels } from '../../kernels/plain/plainKernels.ts';
import type { AttendedCache, Rotary } from './kvCache.ts';

/** How a model attends. It knows its kernels: loading chose it, and `plainAttention` is one. */
export interface Attention {
  /** Begins a step of the decoder on `tokens` tokens; the result attends in each of its layers. */
  decoder(pass: Pass, cache: AttendedCache, tokens: number): Attend;
  /** Attention within segments: `qkv` [patches, 3 · hiddenSize], `segments` [patches, 2] u32 → [patches, hiddenSize]. */
  vision(pass: Pass, qkv: Tensor, segments: Tensor, numHeads: number): Tensor;
}

/**
 * Rotates queries and keys of `qkv` [tokens, qkvDim], puts keys and values into the cache of a layer from `start` on, and lets
 * each token attend to all that the cache then holds up to itself → [tokens, heads · headDim]. Taps `llm.layerN.attn.qkv`.
 */
export type Attend = (qkv: Tensor, layer: number) => Tensor;

/** The plain form: each step a kernel of its own. Follows: modeling_qwen2_5.py, Qwen2Attention; qwen2_5_vit.py, Qwen2_5_VLVisionAttention */
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

/** Turns the query and key heads of `qkv` [tokens, qkvDim] by their positions, in place. */
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
