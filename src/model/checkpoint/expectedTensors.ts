/** The names and shapes of the tensors that a checkpoint must have. */
import type { LlmConfig, ModelConfig, VisionConfig } from './config.ts';

export interface ExpectedTensor {
  readonly name: string;
  readonly shape: readonly number[];
}

/**
 * Lists every tensor of the model, in the order in which the forward pass uses them. Linear weights are [out, in]. With tied
 * embeddings there is no `language_model.lm_head.weight`.
 *
 * Follows: REFERENCE section 1 (names as `save_pretrained` writes them)
 */
export function expectedTensors(config: ModelConfig): ExpectedTensor[] {
  return [...visionTensors(config.vision), ...projectorTensors(config), ...llmTensors(config.llm)];
}

function visionTensors(vision: VisionConfig): ExpectedTensor[] {
  const { hiddenSize, intermediateSize, outHiddenSize, inChannels, temporalPatchSize, patchSize } = vision;
  const mergedSize = hiddenSize * vision.spatialMergeSize ** 2;
  const tensors = [
    weight('vision_model.patch_embed.proj', [
      hiddenSize,
      inChannels,
      temporalPatchSize,
      patchSize,
      patchSize,
    ]),
  ];
  for (let block = 0; block < vision.depth; block++) {
    const prefix = `vision_model.blocks.${block}`;
    tensors.push(
      weight(`${prefix}.norm1`, [hiddenSize]),
      ...linear(`${prefix}.attn.qkv`, 3 * hiddenSize, hiddenSize),
      ...linear(`${prefix}.attn.proj`, hiddenSize, hiddenSize),
      weight(`${prefix}.norm2`, [hiddenSize]),
      ...linear(`${prefix}.mlp.gate_proj`, intermediateSize, hiddenSize),
      ...linear(`${prefix}.mlp.up_proj`, intermediateSize, hiddenSize),
      ...linear(`${prefix}.mlp.down_proj`, hiddenSize, intermediateSize),
    );
  }
  tensors.push(
    weight('vision_model.merger.ln_q', [hiddenSize]),
    ...linear('vision_model.merger.mlp.0', mergedSize, mergedSize),
    ...linear('vision_model.merger.mlp.2', outHiddenSize, mergedSize),
  );
  return tensors;
}

function projectorTensors({ vision, llm, mlpDepths }: ModelConfig): ExpectedTensor[] {
  const tensors = linear('linear_proj.0', llm.hiddenSize, vision.outHiddenSize);
  for (let layer = 1; layer < mlpDepths; layer++) {
    tensors.push(...linear(`linear_proj.${2 * layer}`, llm.hiddenSize, llm.hiddenSize)); // the odd ones are GELUs
  }
  return tensors;
}

function llmTensors(llm: LlmConfig): ExpectedTensor[] {
  const { hiddenSize, intermediateSize, vocabSize } = llm;
  const querySize = llm.numAttentionHeads * llm.headDim;
  const keySize = llm.numKeyValueHeads * llm.headDim;
  const tensors = [weight('language_model.model.embed_tokens', [vocabSize, hiddenSize])];
  for (let layer = 0; layer < llm.numHiddenLayers; layer++) {
    const prefix = `language_model.model.layers.${layer}`;
    tensors.push(
      weight(`${prefix}.input_layernorm`, [hiddenSize]),
      ...linear(`${prefix}.self_attn.q_proj`, querySize, hiddenSize),
      ...linear(`${prefix}.self_attn.k_proj`, keySize, hiddenSize),
      ...linear(`${prefix}.self_attn.v_proj`, keySize, hiddenSize),
      weight(`${prefix}.self_attn.o_proj`, [hiddenSize, querySize]),
      weight(`${prefix}.post_attention_layernorm`, [hiddenSize]),
      weight(`${prefix}.mlp.gate_proj`, [intermediateSize, hiddenSize]),
      weight(`${prefix}.mlp.up_proj`, [intermediateSize, hiddenSize]),
      weight(`${prefix}.mlp.down_proj`, [hiddenSize, intermediateSize]),
    );
  }
  tensors.push(weight('language_model.model.norm', [hiddenSize]));
  if (!llm.tieWordEmbeddings) tensors.push(weight('language_model.lm_head', [vocabSize, hiddenSize]));
  return tensors;
}

function weight(module: string, shape: readonly number[]): ExpectedTensor {
  return { name: `${module}.weight`, shape };
}

function linear(module: string, outSize: number, inSize: number): ExpectedTensor[] {
  return [weight(module, [outSize, inSize]), { name: `${module}.bias`, shape: [outSize] }];
}
