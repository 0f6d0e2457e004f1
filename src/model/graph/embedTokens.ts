/** From token ids to the rows that enter the decoder. */
import type { Pass } from '../../gpu/pass.ts';
import type { Tensor } from '../../gpu/tensor.ts';
import type { PlainKernels } from '../../kernels/plain/plainKernels.ts';
import type { ModelParts } from './modelParts.ts';

/** Looks up rows of the token table: `ids` [tokens] u32 → [tokens, hiddenSize] f32. */
export type Embedding = (pass: Pass, ids: Tensor) => Tensor;

/** The plain form. @param table [vocabSize, hiddenSize], in rows */
export function plainEmbedding(kernels: PlainKernels, table: Tensor): Embedding {
  return (pass, ids) => kernels.embed(pass, { ids, table });
}

/** Rows of image features, and the tokens whose embeddings they replace. */
export interface PlacedFeatures {
  readonly imageEmbeds: Tensor; // [merged, hiddenSize] f32
  readonly imageTokens: Tensor; // [merged] u32: indices into the prompt
}

/**
 * Looks up the tokens' embeddings and replaces those of the image patch tokens by image features.
 *
 * @param ids [tokens] u32
 * @returns [tokens, hiddenSize] f32
 * Follows: modeling_qwen2_5.py, prompt_wrap_vision
 */
export function embedTokens(
  pass: Pass,
  { kernels, weights }: ModelParts,
  ids: Tensor,
  placed: readonly PlacedFeatures[],
): Tensor {
  const hidden = weights.decoder.embedTokens(pass, ids); // [tokens, hiddenSize]
  for (const { imageEmbeds, imageTokens } of placed) {
    kernels.scatterRows(pass, { hidden, features: imageEmbeds, index: imageTokens });
  }
  pass.tap('llm.inputs_embeds', hidden);
  return hidden;
}
