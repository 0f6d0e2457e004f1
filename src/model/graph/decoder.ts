/**
 * The language model: Qwen2 with rotary positions on three axes. docs/MODEL.md, section 6.
 *
 * Shapes: tokens of this step; heads (of queries); kvHeads (of keys and values); qkvDim = (heads + 2 · kvHeads) · headDim.
 */
import type { Pass } from '../../gpu/pass.ts';
import type { Tensor } from '../../gpu/tensor.ts';
import type { PlainKernels } from '../../kernels/plain/plainKernels.ts';
import type { Attend } from './attention.ts';
import type { AttendedCache } from './kvCache.ts';
import { addLinear, gatedLinear, linear } from './linear.ts';
import type { ModelParts } from './modelParts.ts';
import type { DecoderLayerWeights } from './weights.ts';

/**
 * Records all layers, in place on `hidden` [tokens, hiddenSize] f32. Writes keys and values to the cache from `cache.start` on.
 *
 * Follows: modeling_qwen2_5.py, Qwen2Model.forward
 */
export function decoderLayers(
  pass: Pass,
  { kernels, attention, weights, config }: ModelParts,
  hidden: Tensor,
  cache: AttendedCache,
): void {
  const attend = attention.decoder(pass, cache, hidden.shape[0]);
  for (const [index, layer] of weights.decoder.layers.entries()) {
    pass.scope(() => decoderLayer(pass, kernels, layer, config.llm.rmsNormEps, hidden, attend, index));
    pass.tap(`llm.layer${index}`, hidden);
  }
  pass.tap('cache.k0', cache.layers[0].k);
  pass.tap('cache.v0', cache.layers[0].v);
}

/** One layer, in place on `hidden`. Follows: modeling_qwen2_5.py, Qwen2DecoderLayer */
function decoderLayer(
  pass: Pass,
  kernels: PlainKernels,
  layer: DecoderLayerWeights,
  eps: number,
  hidden: Tensor, // [tokens, hiddenSize]
  attend: Attend,
  index: number,
): undefined {
  const normed = kernels.rmsNorm(pass, { x: hidden, weight: layer.inputNorm }, { eps }); // [tokens, hiddenSize]
  const qkv = linear(pass, normed, layer.qkv); // [tokens, qkvDim]
  const attended = attend(qkv, index); // [tokens, heads · headDim]
  pass.tap(`llm.layer${index}.attn.heads`, attended);
  addLinear(pass, hidden, attended, layer.oProj);

  const normed2 = kernels.rmsNorm(pass, { x: hidden, weight: layer.postAttentionNorm }, { eps }); // [tokens, hiddenSize]
  const activated = gatedLinear(pass, normed2, layer.gateUp); // [tokens, intermediateSize]
  pass.tap(`llm.layer${index}.mlp.activated`, activated);
  addLinear(pass, hidden, activated, layer.down);
}

/**
 * Records the logits of the given tokens.
 *
 * @param hidden [tokens, hiddenSize] f32 after all layers
 * @param rows [n] u32, indices of the tokens; null: all of them
 * @returns [n, vocabSize] f32
 * Follows: modeling_qwen2_5.py, Qwen2ForCausalLM.forward
 */
export function tokenLogits(
  pass: Pass,
  { kernels, weights, config }: ModelParts,
  hidden: Tensor,
  rows: Tensor | null,
): Tensor {
  const { norm: weight, lmHead } = weights.decoder;
  const { rmsNormEps: eps } = config.llm;
  if (pass.isTapped) pass.tap('llm.norm', kernels.rmsNorm(pass, { x: hidden, weight }, { eps })); // [tokens, hiddenSize]
  const asked = rows ? kernels.gatherRows(pass, { x: hidden, index: rows }) : hidden; // [n, hiddenSize]
  const normed = kernels.rmsNorm(pass, { x: asked, weight }, { eps }); // [n, hiddenSize]
  const logits = linear(pass, normed, lmHead); // [n, vocabSize]
  pass.tap('logits.steps', logits);
  return logits;
}
