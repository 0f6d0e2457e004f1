/**
 * The language model: Qwen2 with rotary positions on three axes. docs/MODEL.md, section 6.
 *
 * Shapes: tokens: of this step; heads query heads share kvHeads key heads; qkvDim = (heads + 2 · kvHeads) · headDim.
 */
import type { Pass } from '../../gpu/pass.ts';
import type { Tensor } from '../../gpu/tensor.ts';
import type { LlmConfig } from '../checkpoint/config.ts';
import type { ModelKernels } from '../load/kernelChoice.ts';
import type { DecoderLayerWeights, DecoderWeights } from '../load/weights.ts';
import { attendToCache, beginAttention } from './attention.ts';
import type { AttendedCache } from './kvCache.ts';
import { addLinear, gatedLinear, linear } from './linear.ts';

/**
 * Runs all layers on `hidden` [tokens, hiddenSize] f32, in place. Keys and values go into the cache from `cache.start` on.
 *
 * Follows: modeling_qwen2_5.py, Qwen2Model.forward
 */
export function decoderLayers(
  pass: Pass,
  kernels: ModelKernels,
  weights: DecoderWeights,
  config: LlmConfig,
  hidden: Tensor,
  cache: AttendedCache,
): void {
  const angles = beginAttention(pass, kernels, hidden.shape[0], config.numAttentionHeads, cache);
  for (const [index, layer] of weights.layers.entries()) {
    pass.scope(() => decoderLayer(pass, kernels, layer, config, hidden, cache, index, angles));
    pass.tap(`llm.layer${index}`, hidden);
  }
  pass.tap('cache.k0', cache.layers[0].k);
  pass.tap('cache.v0', cache.layers[0].v);
}

/**
 * The logits of some of the tokens.
 *
 * @param hidden [tokens, hiddenSize] after all layers
 * @param rows [n] u32: which tokens; null: the only one
 * @returns [n, vocabSize] f32
 * Follows: modeling_qwen2_5.py, Qwen2ForCausalLM.forward
 */
export function tokenLogits(
  pass: Pass,
  kernels: ModelKernels,
  { norm: weight, lmHead }: DecoderWeights,
  { rmsNormEps: eps }: LlmConfig,
  hidden: Tensor,
  rows: Tensor | null,
): Tensor {
  if (pass.isTapped) pass.tap('llm.norm', kernels.rmsNorm(pass, { x: hidden, weight }, { eps }));
  const asked = rows ? kernels.gatherRows(pass, { x: hidden, index: rows }) : hidden; // [n, hiddenSize]
  const normed = kernels.rmsNorm(pass, { x: asked, weight }, { eps }); // [n, hiddenSize]
  const logits = linear(pass, kernels, normed, lmHead); // [n, vocabSize]
  pass.tap('logits.steps', logits);
  return logits;
}

/** One layer, in place on the residual stream. Follows: modeling_qwen2_5.py, Qwen2DecoderLayer */
function decoderLayer(
  pass: Pass,
  kernels: ModelKernels,
  layer: DecoderLayerWeights,
  { rmsNormEps: eps }: LlmConfig,
  hidden: Tensor, // [tokens, hiddenSize]
  cache: AttendedCache,
  index: number,
  angles: Tensor | null, // of beginAttention
): undefined {
  const normed = kernels.rmsNorm(pass, { x: hidden, weight: layer.inputNorm }, { eps }); // [tokens, hiddenSize]
  const qkv = linear(pass, kernels, normed, layer.qkv); // [tokens, qkvDim]
  const attended = attendToCache(pass, kernels, qkv, cache, index, angles); // [tokens, heads · headDim]
  pass.tap(`llm.layer${index}.attn.heads`, attended);
  addLinear(pass, kernels, hidden, attended, layer.oProj);

  const normed2 = kernels.rmsNorm(pass, { x: hidden, weight: layer.postAttentionNorm }, { eps }); // [tokens, hiddenSize]
  const activated = gatedLinear(pass, kernels, normed2, layer.gateUp); // [tokens, intermediateSize]
  pass.tap(`llm.layer${index}.mlp.activated`, activated);
  addLinear(pass, kernels, hidden, activated, layer.down);
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
  kernels: ModelKernels,
  weights: DecoderWeights,
  ids: Tensor,
  placed: readonly PlacedFeatures[],
): Tensor {
  const table = weights.embedTokens;
  const embed = table.layout === 'panels' ? kernels.embedPanels : kernels.embed;
  const hidden = embed(pass, { ids, table }); // [tokens, hiddenSize]
  for (const { imageEmbeds, imageTokens } of placed) {
    kernels.scatterRows(pass, { hidden, features: imageEmbeds, index: imageTokens });
  }
  pass.tap('llm.inputs_embeds', hidden);
  return hidden;
}
