/** Loads a checkpoint's weights onto the GPU: which tensors make up each weight of the model, and the form that it gets. */
import type { Gpu } from '../../gpu/device.ts';
import { freeTensors } from '../../gpu/tensor.ts';
import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import type { ModelConfig } from '../checkpoint/config.ts';
import type { Linear } from '../graph/linear.ts';
import type {
  DecoderLayerWeights,
  DecoderWeights,
  ModelWeights,
  VisionBlockWeights,
  VisionWeights,
} from '../graph/weights.ts';
import type { Forms } from './forms.ts';
import { type LoadProgress, WeightLoader } from './weightLoader.ts';

/**
 * Uploads every tensor of the model.
 *
 * @throws CheckpointError from reading, or CKPT_DTYPE_UNSUPPORTED if matrices to be joined differ in dtype; GpuError
 *   GPU_OUT_OF_MEMORY, GPU_LIMIT. After an error nothing stays on the GPU.
 */
export async function loadWeights(
  gpu: Gpu,
  checkpoint: Checkpoint,
  config: ModelConfig,
  forms: Forms,
  onProgress: (progress: LoadProgress) => void = () => {},
): Promise<ModelWeights> {
  const loader = new WeightLoader(gpu, checkpoint, forms.linearLayout, onProgress);
  try {
    const vision = await loadVision(loader, config, forms);
    const projector: Linear[] = [];
    for (let i = 0; i < config.mlpDepths; i++) {
      projector.push(await forms.projectorLinear(await loader.linear(`linear_proj.${2 * i}`), loader));
    }
    const decoder = await loadDecoder(loader, config, forms);
    gpu.submit([]);
    await gpu.idle();
    return { vision, projector, decoder, tensors: loader.tensors };
  } catch (error) {
    await freeTensors(gpu, loader.tensors);
    throw error;
  }
}

async function loadVision(
  loader: WeightLoader,
  { vision }: ModelConfig,
  forms: Forms,
): Promise<VisionWeights> {
  const linear = async (module: string) => forms.visionLinear(await loader.linear(module), loader);
  const patchDim = vision.inChannels * vision.temporalPatchSize * vision.patchSize ** 2;
  const patchEmbed = {
    weight: await loader.matrix('vision_model.patch_embed.proj.weight', [vision.hiddenSize, patchDim]),
    bias: loader.zeroBias(vision.hiddenSize),
  };
  const blocks: VisionBlockWeights[] = [];
  for (let i = 0; i < vision.depth; i++) {
    const block = `vision_model.blocks.${i}`;
    blocks.push({
      norm1: await loader.tensor(`${block}.norm1.weight`),
      qkv: await linear(`${block}.attn.qkv`),
      proj: await linear(`${block}.attn.proj`),
      norm2: await loader.tensor(`${block}.norm2.weight`),
      gateUp: await forms.visionLinear(await loader.gateUp(`${block}.mlp`, true), loader),
      down: await linear(`${block}.mlp.down_proj`),
    });
  }
  return {
    patchEmbed: await forms.visionLinear(patchEmbed, loader),
    blocks,
    mergerNorm: await loader.tensor('vision_model.merger.ln_q.weight'),
    mergerIn: await linear('vision_model.merger.mlp.0'),
    mergerOut: await linear('vision_model.merger.mlp.2'),
  };
}

async function loadDecoder(
  loader: WeightLoader,
  { llm }: ModelConfig,
  forms: Forms,
): Promise<DecoderWeights> {
  const table = await loader.tensor('language_model.model.embed_tokens.weight', undefined, forms.tableLayout);
  const layers: DecoderLayerWeights[] = [];
  for (let i = 0; i < llm.numHiddenLayers; i++) {
    const layer = `language_model.model.layers.${i}`;
    const linear = async (module: string) =>
      forms.decoderLinear(await loader.linear(`${layer}.${module}`), loader);
    const qkv = await loader.joined(
      ['q_proj', 'k_proj', 'v_proj'].map((name) => `${layer}.self_attn.${name}`),
    );
    layers.push({
      inputNorm: await loader.tensor(`${layer}.input_layernorm.weight`),
      qkv: await forms.decoderLinear(qkv, loader),
      oProj: await linear('self_attn.o_proj'),
      postAttentionNorm: await loader.tensor(`${layer}.post_attention_layernorm.weight`),
      gateUp: await forms.decoderLinear(await loader.gateUp(`${layer}.mlp`, false), loader),
      down: await linear('mlp.down_proj'),
    });
  }
  const norm = await loader.tensor('language_model.model.norm.weight');
  const weight = llm.tieWordEmbeddings ? table : await loader.matrix('language_model.lm_head.weight');
  const lmHead = await forms.head({ weight, bias: loader.zeroBias(llm.vocabSize) }, loader);
  return { embedTokens: forms.embedding(table), layers, norm, lmHead };
}
