/**
 * The language model: Qwen2 with rotary positions on three axes. docs/MODEL.md, section 6.
 *
 * Shapes: tokens: of this step; heads query heads share kvHeads key heads; qkvDim = (heads + 2 · kvHeads) · headDim.
 */
import type { Pass } from '../gpu/pass.ts';
import type { Tensor } from '../gpu/tensor.ts';
import type { KernelSet } from '../kernels/index.ts';
import type { LlmConfig } from './config.ts';
import type { KvCache } from './kvCache.ts';
import { linear } from './linear.ts';
import type { DecoderLayerWeights, DecoderWeights } from './weights.ts';

/**
 * Runs all layers on `hidden` [tokens, hiddenSize] f32, in place. Keys and values go into the cache from `cache.start` on.
 *
 * Follows: modeling_qwen2_5.py, Qwen2Model.forward
 */
export function decoderLayers(
  pass: Pass,
  kernels: KernelSet,
  weights: DecoderWeights,
  config: LlmConfig,
  hidden: Tensor,
  cache: KvCache,
): void {
  for (const [index, layer] of weights.layers.entries()) {
    pass.scope(() => decoderLayer(pass, kernels, layer, config, hidden, cache, index));
    pass.tap(`llm.layer${index}`, hidden);
  }
  pass.tap('cache.k0', cache.layers[0].k);
  pass.tap('cache.v0', cache.layers[0].v);
}

/**
 * The logits of some of the tokens.
 *
 * @param hidden [tokens, hiddenSize] f32, after all layers
 * @param rows [n] u32: which tokens
 * @returns [n, vocabSize] f32
 * Follows: modeling_qwen2_5.py, Qwen2ForCausalLM.forward
 */
export function tokenLogits(
  pass: Pass,
  kernels: KernelSet,
  weights: DecoderWeights,
  config: LlmConfig,
  hidden: Tensor,
  rows: Tensor,
): Tensor {
  const normed = kernels.rmsNorm(pass, { x: hidden, weight: weights.norm }, { eps: config.rmsNormEps }); // [tokens, hiddenSize]
  pass.tap('llm.norm', normed);
  const asked = kernels.gatherRows(pass, { x: normed, index: rows }); // [n, hiddenSize]
  const logits = linear(pass, kernels, asked, weights.lmHead); // [n, vocabSize]
  pass.tap('logits.steps', logits);
  return logits;
}

/** One layer, in place on `hidden`. Follows: modeling_qwen2_5.py, Qwen2DecoderLayer */
function decoderLayer(
  pass: Pass,
  kernels: KernelSet,
  layer: DecoderLayerWeights,
  { numAttentionHeads, numKeyValueHeads, rmsNormEps: eps }: LlmConfig,
  hidden: Tensor, // [tokens, hiddenSize]
  { rotary, start, layers }: KvCache,
  index: number,
): undefined {
  const { k: kCache, v: vCache } = layers[index]; // [kvHeads, context, headDim] each
  const { firstPosition, ...rotaryTensors } = rotary;
  const rotatedHeads = numAttentionHeads + numKeyValueHeads;

  const normed = kernels.rmsNorm(pass, { x: hidden, weight: layer.inputNorm }, { eps }); // [tokens, hiddenSize]
  const qkv = linear(pass, kernels, normed, layer.qkv); // [tokens, qkvDim]
  kernels.mRope(pass, { qkv, ...rotaryTensors, start }, { rotatedHeads, firstPosition });
  kernels.writeKv(pass, { qkv, start, kCache, vCache });
  pass.tap(`llm.layer${index}.attn.qkv`, qkv);
  const attention = hidden.shape[0] === 1 ? kernels.decodeAttention : kernels.causalAttention;
  const attended = attention(pass, { qkv, kCache, vCache, start }); // [tokens, heads · headDim]
  pass.tap(`llm.layer${index}.attn.heads`, attended);
  kernels.add(pass, { hidden, delta: linear(pass, kernels, attended, layer.oProj) });

  const normed2 = kernels.rmsNorm(pass, { x: hidden, weight: layer.postAttentionNorm }, { eps }); // [tokens, hiddenSize]
  const gateUp = linear(pass, kernels, normed2, layer.gateUp); // [tokens, 2 · intermediateSize]
  const activated = kernels.siluGate(pass, { gateUp }); // [tokens, intermediateSize]
  pass.tap(`llm.layer${index}.mlp.activated`, activated);
  kernels.add(pass, { hidden, delta: linear(pass, kernels, activated, layer.down) });
}

/** Rows of image features, and which tokens they stand for. */
export interface PlacedFeatures {
  readonly imageEmbeds: Tensor; // [merged, hiddenSize] f32
  readonly imageTokens: Tensor; // [merged] u32
}

/**
 * Looks up the tokens' embeddings and puts the image features in the places of the image patch tokens.
 *
 * @param ids [tokens] u32
 * @returns [tokens, hiddenSize] f32
 * Follows: modeling_qwen2_5.py, prompt_wrap_vision
 */
export function embedTokens(
  pass: Pass,
  kernels: KernelSet,
  weights: DecoderWeights,
  ids: Tensor,
  placed: readonly PlacedFeatures[],
): Tensor {
  const hidden = kernels.embed(pass, { ids, table: weights.embedTokens }); // [tokens, hiddenSize]
  for (const { imageEmbeds, imageTokens } of placed) {
    kernels.scatterRows(pass, { hidden, features: imageEmbeds, index: imageTokens });
  }
  pass.tap('llm.inputs_embeds', hidden);
  return hidden;
}
