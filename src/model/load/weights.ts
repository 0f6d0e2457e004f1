/** The model's weights on the GPU, by what they are for, and which tensors of a checkpoint they are made of. */
import type { Gpu } from '../../gpu/device.ts';
import { freeTensors, type Tensor } from '../../gpu/tensor.ts';
import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import type { ModelConfig } from '../checkpoint/config.ts';
import { toInt8 } from '../fast/toInt8.ts';
import type { ModelKernels } from './kernelChoice.ts';
import { type Linear, type LoadProgress, WeightLoader } from './weightLoader.ts';

export interface VisionBlockWeights {
  readonly norm1: Tensor; // [hiddenSize]
  readonly qkv: Linear; // [3 · hiddenSize, hiddenSize]
  readonly proj: Linear; // [hiddenSize, hiddenSize]
  readonly norm2: Tensor; // [hiddenSize]
  readonly gateUp: Linear; // [2 · intermediateSize, hiddenSize], gate and up rows in turn
  readonly down: Linear; // [hiddenSize, intermediateSize]
}

export interface VisionWeights {
  readonly patchEmbed: Linear; // [hiddenSize, channels · frames · patchSize²]
  readonly blocks: readonly VisionBlockWeights[];
  readonly mergerNorm: Tensor; // [hiddenSize]
  readonly mergerIn: Linear; // [4 · hiddenSize, 4 · hiddenSize]
  readonly mergerOut: Linear; // [outHiddenSize, 4 · hiddenSize]
}

export interface DecoderLayerWeights {
  readonly inputNorm: Tensor; // [hiddenSize]
  readonly qkv: Linear; // [(heads + 2 · kvHeads) · headDim, hiddenSize]
  readonly oProj: Linear; // [hiddenSize, heads · headDim]
  readonly postAttentionNorm: Tensor; // [hiddenSize]
  readonly gateUp: Linear; // [2 · intermediateSize, hiddenSize], gate and up rows in turn
  readonly down: Linear; // [hiddenSize, intermediateSize]
}

export interface DecoderWeights {
  readonly embedTokens: Tensor; // [vocabSize, hiddenSize]
  readonly layers: readonly DecoderLayerWeights[];
  readonly norm: Tensor; // [hiddenSize]
  readonly lmHead: Linear; // [vocabSize, hiddenSize]; the same tensor as embedTokens when embeddings are tied
}

export interface ModelWeights {
  readonly vision: VisionWeights;
  /** Linear layers with a GELU between each two. */
  readonly projector: readonly Linear[];
  readonly decoder: DecoderWeights;
  /** Everything that was uploaded, each tensor once. */
  readonly tensors: readonly Tensor[];
}

/**
 * Uploads every tensor of the checkpoint.
 *
 * @throws CheckpointError from reading, or CKPT_DTYPE_UNSUPPORTED when matrices to be joined are stored differently;
 *   GpuError GPU_OUT_OF_MEMORY, GPU_LIMIT. Nothing stays on the GPU then.
 */
export async function loadWeights(
  gpu: Gpu,
  checkpoint: Checkpoint,
  config: ModelConfig,
  kernels: ModelKernels,
  onProgress: (progress: LoadProgress) => void = () => {},
): Promise<ModelWeights> {
  const loader = new WeightLoader(gpu, checkpoint, kernels.linearLayout, onProgress);
  try {
    const vision = await loadVision(loader, config, kernels.visionInHalf);
    const projector: Linear[] = [];
    for (let i = 0; i < config.mlpDepths; i++) projector.push(await loader.linear(`linear_proj.${2 * i}`));
    const decoder = await loadDecoder(loader, config, kernels);
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
  inHalf: boolean,
): Promise<VisionWeights> {
  const linear = async (module: string): Promise<Linear> => ({ ...(await loader.linear(module)), inHalf });
  const patchDim = vision.inChannels * vision.temporalPatchSize * vision.patchSize ** 2;
  const patchEmbed = await loader.matrix('vision_model.patch_embed.proj.weight', [
    vision.hiddenSize,
    patchDim,
  ]);
  const blocks: VisionBlockWeights[] = [];
  for (let i = 0; i < vision.depth; i++) {
    const block = `vision_model.blocks.${i}`;
    blocks.push({
      norm1: await loader.tensor(`${block}.norm1.weight`),
      qkv: await linear(`${block}.attn.qkv`),
      proj: await linear(`${block}.attn.proj`),
      norm2: await loader.tensor(`${block}.norm2.weight`),
      gateUp: { ...(await loader.gateUp(`${block}.mlp`, true)), inHalf },
      down: await linear(`${block}.mlp.down_proj`),
    });
  }
  return {
    patchEmbed: { weight: patchEmbed, bias: loader.zeroBias(vision.hiddenSize), inHalf },
    blocks,
    mergerNorm: await loader.tensor('vision_model.merger.ln_q.weight'),
    mergerIn: await linear('vision_model.merger.mlp.0'),
    mergerOut: await linear('vision_model.merger.mlp.2'),
  };
}

async function loadDecoder(
  loader: WeightLoader,
  { llm }: ModelConfig,
  kernels: ModelKernels,
): Promise<DecoderWeights> {
  const tableLayout = llm.tieWordEmbeddings ? kernels.tiedTableLayout : 'rows';
  const embedTokens = await loader.tensor('language_model.model.embed_tokens.weight', undefined, tableLayout);
  const layers: DecoderLayerWeights[] = [];
  for (let i = 0; i < llm.numHiddenLayers; i++) {
    const layer = `language_model.model.layers.${i}`;
    const qkv = ['q_proj', 'k_proj', 'v_proj'].map((name) => `${layer}.self_attn.${name}`);
    const weight = await loader.below(
      qkv.map((name) => `${name}.weight`),
      loader.linearLayout,
    );
    const bias = await loader.below(qkv.map((name) => `${name}.bias`));
    const inPrecision = (linear: Linear) => (kernels.usesInt8 ? toInt8(loader, kernels, linear) : linear);
    layers.push({
      inputNorm: await loader.tensor(`${layer}.input_layernorm.weight`),
      qkv: await inPrecision({ weight, bias }),
      oProj: await inPrecision(await loader.linear(`${layer}.self_attn.o_proj`)),
      postAttentionNorm: await loader.tensor(`${layer}.post_attention_layernorm.weight`),
      gateUp: await inPrecision(await loader.gateUp(`${layer}.mlp`, false)),
      down: await inPrecision(await loader.linear(`${layer}.mlp.down_proj`)),
    });
  }
  const norm = await loader.tensor('language_model.model.norm.weight');
  const lmHeadWeight = llm.tieWordEmbeddings
    ? embedTokens
    : await loader.matrix('language_model.lm_head.weight');
  const lmHead = { weight: lmHeadWeight, bias: loader.zeroBias(llm.vocabSize) };
  return { embedTokens, layers, norm, lmHead };
}
