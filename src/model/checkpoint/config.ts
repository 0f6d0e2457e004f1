/** `config.json` of a checkpoint: every dimension of the model, checked before it is used. */
import { CheckpointError, ConfigError } from '../../errors.ts';
import {
  assertConfigSize,
  assertOnly,
  booleanField,
  fieldError,
  integerField,
  integersField,
  type JsonObject,
  numberField,
  objectField,
  optionalObjectField,
  parseConfigObject,
} from '../../json.ts';
import type { ImageProcessorConfig } from '../../processor/patches.ts';
import { type ModelFiles, readAll } from './byteSource.ts';

export interface ModelConfig {
  readonly vision: VisionConfig;
  readonly llm: LlmConfig;
  /** Number of linear layers in the projector between the two (`linear_proj`). */
  readonly mlpDepths: number;
}

/** The vision tower. `patchSize` and `windowSize` are in pixels, `spatialMergeSize` in patches, other sizes in features. */
export interface VisionConfig {
  readonly depth: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly numHeads: number;
  /** hiddenSize / numHeads; a multiple of 4. */
  readonly headDim: number;
  readonly inChannels: number;
  readonly patchSize: number;
  readonly spatialMergeSize: number;
  readonly temporalPatchSize: number;
  readonly tokensPerSecond: number;
  readonly windowSize: number;
  readonly outHiddenSize: number;
  /** Blocks whose attention spans a whole frame; that of the others spans a window. */
  readonly fullAttentionBlockIndexes: readonly number[];
}

/** The language model: Qwen2 with up to three position axes. */
export interface LlmConfig {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly numHiddenLayers: number;
  readonly numAttentionHeads: number;
  readonly numKeyValueHeads: number;
  /** hiddenSize / numAttentionHeads; even. */
  readonly headDim: number;
  readonly rmsNormEps: number;
  readonly ropeTheta: number;
  readonly maxPositionEmbeddings: number;
  /** `none`: one position axis, as in a plain Qwen2. */
  readonly rope: 'm_rope' | 'video_rope' | 'none';
  /** Rotary frequencies per axis (t, row, col), headDim / 2 in all; empty for `none`. */
  readonly mropeSection: readonly number[];
  readonly tieWordEmbeddings: boolean;
  readonly eosTokenId: number;
  readonly imagePatchToken: number;
  readonly imageStartToken: number;
  readonly videoPatchToken: number;
  readonly videoStartToken: number;
}

// Large enough for any model of this kind, small enough that all products are safe integers.
const FEATURES = { min: 1, max: 2 ** 20 };
const HEADS = { min: 1, max: 4096 };
const LAYERS = { min: 1, max: 1024 };
const TOKEN_ID = { min: 0, max: 2 ** 31 - 1 };

/**
 * Reads and parses `config.json`.
 *
 * @throws ConfigError CONFIG_MISSING if there is no file, otherwise as `parseModelConfig`; CheckpointError as `files`
 */
export async function readModelConfig(files: ModelFiles): Promise<ModelConfig> {
  const source = await files.open('config.json');
  if (source === null) {
    throw new ConfigError('CONFIG_MISSING', `${files.name} has no config.json`, {
      file: 'config.json',
      hint: 'give the folder that holds config.json and the weights',
    });
  }
  try {
    assertConfigSize(source.sizeBytes, source.name);
    return parseModelConfig(await readAll(source), source.name);
  } finally {
    await source.close();
  }
}

/**
 * Parses `config.json` and checks each field, then the fields against each other.
 *
 * @param bytes UTF-8 JSON, with or without a byte order mark
 * @param file the file's name in error messages
 * @throws ConfigError CONFIG_PARSE, CONFIG_TOO_LARGE (over 16 MiB), CONFIG_MISSING, CONFIG_TYPE, CONFIG_RANGE,
 *   CONFIG_INCONSISTENT (heads, sections, windows), CONFIG_ROPE_UNKNOWN, CONFIG_UNSUPPORTED (e.g. another activation)
 * @throws CheckpointError CKPT_DTYPE_UNSUPPORTED for a quantised checkpoint
 *
 * Follows: REFERENCE section 1 for the vision defaults; transformers 4.49, Qwen2Config, for those of the language model
 */
export function parseModelConfig(bytes: Uint8Array, file: string): ModelConfig {
  const config = parseConfigObject(bytes, file);
  const notThisModel = 'this is not the config of an M2-Reasoning checkpoint (model_type bailing_qwen2_5)';
  const llm = objectField(config, 'llm_config', notThisModel);
  const vision = objectField(config, 'vision_config', notThisModel);
  for (const object of [config, llm]) assertNotQuantised(object);
  return {
    vision: parseVision(vision),
    llm: parseLlm(llm),
    mlpDepths: integerField(config, 'mlp_depths', { min: 1, max: 64 }, 1),
  };
}

function parseVision(vision: JsonObject): VisionConfig {
  if (!vision.fields.has('hidden_size')) {
    const hint = "the reference's default of 3584 is for another tower; the published model has 1280";
    throw fieldError('CONFIG_MISSING', vision, 'hidden_size', 'the width of the vision tower', hint);
  }
  assertOnly(vision, 'hidden_act', 'silu');
  assertOnly(vision, 'in_channels', 3);
  const depth = integerField(vision, 'depth', LAYERS, 32);
  const hiddenSize = integerField(vision, 'hidden_size', FEATURES);
  const numHeads = integerField(vision, 'num_heads', HEADS, 16);
  const patchSize = integerField(vision, 'patch_size', { min: 1, max: 256 }, 14);
  const spatialMergeSize = integerField(vision, 'spatial_merge_size', { min: 1, max: 16 }, 2);
  const windowSize = integerField(vision, 'window_size', { min: 1, max: 2 ** 16 }, 112);
  const headDim = hiddenSize / numHeads;
  if (headDim % 4 !== 0) {
    const expected = `a multiple of 4 · num_heads (${numHeads}), for rotary embedding by row and column`;
    throw fieldError('CONFIG_INCONSISTENT', vision, 'hidden_size', expected);
  }
  if (windowSize < patchSize * spatialMergeSize) {
    const expected = `at least patch_size · spatial_merge_size (${patchSize * spatialMergeSize})`;
    throw fieldError('CONFIG_INCONSISTENT', vision, 'window_size', expected);
  }
  return {
    depth,
    hiddenSize,
    intermediateSize: integerField(vision, 'intermediate_size', FEATURES, 3420),
    numHeads,
    headDim,
    inChannels: 3,
    patchSize,
    spatialMergeSize,
    temporalPatchSize: integerField(vision, 'temporal_patch_size', { min: 1, max: 16 }, 2),
    tokensPerSecond: numberField(vision, 'tokens_per_second', { min: 0, max: 1000 }, 4),
    windowSize,
    outHiddenSize: integerField(vision, 'out_hidden_size', FEATURES, 3584),
    fullAttentionBlockIndexes: parseFullAttentionBlocks(vision, depth),
  };
}

function parseFullAttentionBlocks(vision: JsonObject, depth: number): readonly number[] {
  const key = 'fullatt_block_indexes';
  const indexes = integersField(vision, key, { min: 0, max: LAYERS.max }, [7, 15, 23, 31]);
  if (new Set(indexes).size === indexes.length && indexes.every((index) => index < depth)) return indexes;
  const expected = `distinct numbers below depth (${depth})`;
  throw fieldError('CONFIG_RANGE', vision, key, expected, 'the default is [7, 15, 23, 31], for 32 blocks');
}

function parseLlm(llm: JsonObject): LlmConfig {
  assertOnly(llm, 'hidden_act', 'silu');
  assertOnly(llm, 'use_sliding_window', false);
  const hiddenSize = integerField(llm, 'hidden_size', FEATURES, 4096);
  const numAttentionHeads = integerField(llm, 'num_attention_heads', HEADS, 32);
  // As in Qwen2Config, null means one KV head per query head, and a missing field means 32.
  const numKeyValueHeads =
    llm.fields.get('num_key_value_heads') === null
      ? numAttentionHeads
      : integerField(llm, 'num_key_value_heads', HEADS, 32);
  const headDim = hiddenSize / numAttentionHeads;
  if (headDim % 2 !== 0) {
    const expected = `an even multiple of num_attention_heads (${numAttentionHeads})`;
    throw fieldError('CONFIG_INCONSISTENT', llm, 'hidden_size', expected);
  }
  if (numAttentionHeads % numKeyValueHeads !== 0) {
    const expected = `a multiple of num_key_value_heads (${numKeyValueHeads})`;
    throw fieldError('CONFIG_INCONSISTENT', llm, 'num_attention_heads', expected);
  }
  const rope = parseRope(llm);
  return {
    vocabSize: integerField(llm, 'vocab_size', { min: 1, max: 2 ** 24 }, 151_936),
    hiddenSize,
    intermediateSize: integerField(llm, 'intermediate_size', FEATURES, 22_016),
    numHiddenLayers: integerField(llm, 'num_hidden_layers', LAYERS, 32),
    numAttentionHeads,
    numKeyValueHeads,
    headDim,
    rmsNormEps: numberField(llm, 'rms_norm_eps', { min: 0, max: 1 }, 1e-6),
    ropeTheta: numberField(llm, 'rope_theta', { min: 1, max: 1e12 }, 10_000),
    maxPositionEmbeddings: integerField(llm, 'max_position_embeddings', { min: 1, max: 2 ** 24 }, 32_768),
    rope,
    mropeSection: parseMropeSection(llm, rope, headDim),
    tieWordEmbeddings: booleanField(llm, 'tie_word_embeddings', false),
    eosTokenId: integerField(llm, 'eos_token_id', TOKEN_ID),
    imagePatchToken: integerField(llm, 'image_patch_token', TOKEN_ID),
    imageStartToken: integerField(llm, 'image_start_token', TOKEN_ID),
    videoPatchToken: integerField(llm, 'video_patch_token', TOKEN_ID),
    videoStartToken: integerField(llm, 'video_start_token', TOKEN_ID),
  };
}

function parseRope(llm: JsonObject): LlmConfig['rope'] {
  const value = llm.fields.get('use_llm_3drope');
  if (value === 'm_rope' || value === 'video_rope') return value;
  if (value === false) return 'none';
  const hint =
    'there is no safe default, as each value gives image tokens different positions; m2-tiny uses "m_rope"';
  throw fieldError('CONFIG_ROPE_UNKNOWN', llm, 'use_llm_3drope', '"m_rope", "video_rope" or false', hint);
}

function parseMropeSection(llm: JsonObject, rope: LlmConfig['rope'], headDim: number): readonly number[] {
  const scaling = optionalObjectField(llm, 'rope_scaling');
  const type = scaling?.fields.get('rope_type') ?? scaling?.fields.get('type') ?? 'default';
  if (scaling !== null && type !== 'default' && type !== 'mrope') {
    const key = scaling.fields.has('rope_type') ? 'rope_type' : 'type';
    throw fieldError('CONFIG_UNSUPPORTED', scaling, key, '"mrope" or "default", the only supported values');
  }
  if (rope === 'none') return [];
  const required = objectField(llm, 'rope_scaling', `"${rope}" needs rope_scaling.mrope_section`);
  const section = integersField(required, 'mrope_section', { min: 0, max: FEATURES.max });
  if (section.length === 3 && section[0] + section[1] + section[2] === headDim / 2) return section;
  const expected = `three numbers whose sum is half the head size (${headDim / 2})`;
  throw fieldError('CONFIG_INCONSISTENT', required, 'mrope_section', expected);
}

function assertNotQuantised(object: JsonObject): void {
  if ((object.fields.get('quantization_config') ?? null) === null) return;
  const { file, path } = object;
  const field = path === '' ? 'quantization_config' : `${path}.quantization_config`;
  throw new CheckpointError(
    'CKPT_DTYPE_UNSUPPORTED',
    `${file}: ${field} says that the weights are quantised`,
    {
      file,
      field,
      hint: 'use the checkpoint as published, in bf16, f16 or f32',
    },
  );
}

/**
 * Checks that the processor's patches match the vision tower.
 *
 * @throws ConfigError CONFIG_INCONSISTENT if they differ
 */
export function assertProcessorFits(vision: VisionConfig, processor: ImageProcessorConfig): void {
  const pairs = [
    ['patch_size', processor.patchSize, vision.patchSize],
    ['temporal_patch_size', processor.temporalPatchSize, vision.temporalPatchSize],
    ['merge_size', processor.mergeSize, vision.spatialMergeSize],
  ] as const;
  for (const [field, actual, expected] of pairs) {
    if (actual === expected) continue;
    const file = 'preprocessor_config.json';
    throw new ConfigError(
      'CONFIG_INCONSISTENT',
      `${file}: ${field} is ${actual}, but config.json has ${expected} for the vision tower`,
      { file, field, expected, actual, hint: 'take both files from the same checkpoint' },
    );
  }
}
