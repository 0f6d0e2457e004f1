/**
 * The language model: Qwen2 with rotary positions on three axes. docs/MODEL.md, section 6.
 *
 * Shapes: tokens: of this step; heads query heads share kvHeads key heads; qkvDim = (heads + 2 · kvHeads) · headDim.
 */
import type { Pass } from '../gpu/pass.ts';
import type { Tensor } from '../gpu/tensor.ts';
import { causalAttention, rotateAndCache } from './attention.ts';
import type { LlmConfig } from './config.ts';
import type { ModelKernels } from './kernelChoice.ts';
import type { KvCache } from './kvCache.ts';
import { linear } from './linear.ts';
import { addToResidual, beginResidual, normedGate, normedLinear, type Residual } from './residual.ts';
import type { DecoderLayerWeights, DecoderWeights } from './weights.ts';

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
  cache: KvCache,
): void {
  const residual = beginResidual(pass, kernels, hidden, weights.layers[0].inputNorm);
  for (const [index, layer] of weights.layers.entries()) {
    const nextNorm = weights.layers[index + 1]?.inputNorm ?? weights.norm;
    pass.scope(() => decoderLayer(pass, kernels, layer, config, residual, nextNorm, cache, index));
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
  kernels: ModelKernels,
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

/** One layer, in place on the residual stream. Follows: modeling_qwen2_5.py, Qwen2DecoderLayer */
function decoderLayer(
  pass: Pass,
  kernels: ModelKernels,
  layer: DecoderLayerWeights,
  { numAttentionHeads, numKeyValueHeads, rmsNormEps: eps }: LlmConfig,
  residual: Residual, // [tokens, hiddenSize]
  nextNorm: Tensor, // [hiddenSize]
  { rotary, start, layers }: KvCache,
  index: number,
): undefined {
  const rotatedHeads = numAttentionHeads + numKeyValueHeads;

  const qkv = normedLinear(pass, kernels, residual, { weight: layer.inputNorm, eps }, layer.qkv); // [tokens, qkvDim]
  rotateAndCache(pass, kernels, qkv, rotary, start, layers[index], rotatedHeads);
  pass.tap(`llm.layer${index}.attn.qkv`, qkv);
  const attended = causalAttention(pass, kernels, qkv, layers[index], start); // [tokens, heads · headDim]
  pass.tap(`llm.layer${index}.attn.heads`, attended);
  addToResidual(pass, kernels, residual, attended, layer.oProj, layer.postAttentionNorm);

  const norm = { weight: layer.postAttentionNorm, eps };
  const activated = normedGate(pass, kernels, residual, norm, layer.gateUp); // [tokens, intermediateSize]
  pass.tap(`llm.layer${index}.mlp.activated`, activated);
  addToResidual(pass, kernels, residual, activated, layer.down, nextNorm);
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
