/** The public names. */
// biome-ignore-all assist/source/organizeImports: grouped by what they are for

// The model
export {
  type ForwardInputs,
  type ForwardOptions,
  type LoadOptions,
  M2Reasoning,
} from './model/m2Reasoning.ts';
export type {
  GenerateOptions,
  GenerateProgress,
  GenerationResult,
  GenerationTimings,
} from './model/generation/generateOptions.ts';
export type { GenerationPreset, SamplingOptions } from './model/generation/samplingOptions.ts';
export type { ControlOptions, LogitsContext, LogitsProcessor } from './model/generation/controlOptions.ts';
export type { TokenLogprob, TokenLogprobs } from './model/generation/tokenLogprobs.ts';
export { GenerationStream } from './model/generation/generationStream.ts';
export { Chat, type ChatOptions, type ChatResult, type TurnOptions } from './model/chat/chat.ts';
export type { LoadProgress } from './model/load/weightLoader.ts';

// Messages and pictures
export type { ImagePart, Message, TextPart, VideoPart } from './processor/text/messages.ts';
export type { ImageSource } from './processor/image/imageSource.ts';
export type { RgbImage } from './processor/image/rgbImage.ts';
export type { PreparedInputs, PrepareOptions } from './processor/processor.ts';

// The processor's steps one by one: from an image to patches, from text to ids and back
export { parseImageProcessorConfig } from './processor/image/imageProcessorConfig.ts';
export { loadImage } from './processor/image/imageSource.ts';
export { resizeBicubic, smartResize } from './processor/resize.ts';
export { extractPatches, type ImageProcessorConfig } from './processor/patches.ts';
export { Tokenizer } from './processor/text/tokenizer.ts';
export { TokenStream } from './processor/text/tokenStream.ts';

// Positions, windows and rotary tables
export { type Positions, positionsFor } from './model/graph/positions.ts';
export { type GridThw, inversePermutation, type Windows, windowLayout } from './model/graph/windows.ts';
export {
  axisOfFrequency,
  llmRotaryTable,
  type RotaryTable,
  visionRotaryAngles,
} from './model/graph/rotaryTables.ts';

// The GPU and its tensors
export { Gpu, type OpenGpuOptions, openGpu } from './gpu/device.ts';
export { Pass, type PassListener, type TapListener } from './gpu/pass.ts';
export { freeTensors, readTensor, reshape, type Tensor, upload, zeros } from './gpu/tensor.ts';

// Kernels: the standard set, and the parts to write your own
export { type KernelSet, kernels } from './kernels/kernelSet.ts';
export type { KernelOptions, KernelSetName, Precision } from './model/load/forms.ts';
export { defineKernel, type Kernel } from './gpu/kernel.ts';
export { type KernelCase, panels, read, readWrite, weights, write } from './gpu/declaration.ts';
export { type CheckRow, checkKernel } from './gpu/measure/checkKernel.ts';
export { type BenchOptions, type BenchRow, benchKernel } from './gpu/measure/benchKernel.ts';
export { type AdapterRates, measureAdapter } from './gpu/measure/measureAdapter.ts';
export {
  joinProfiles,
  type Profile,
  type ProfileOptions,
  type ProfileRow,
  profilePass,
} from './gpu/measure/profilePass.ts';
export { type CallCost, passCosts } from './gpu/measure/passCosts.ts';
export { type RecordCall, type TimedCalls, timeCalls } from './gpu/measure/timeCalls.ts';
export { type TunedCall, tunedCalls } from './model/fast/tuning/tunedCalls.ts';
export type { Tuning, Variant } from './model/fast/variants.ts';
export { type TuneOptions, type TuneRow, tune } from './model/fast/tuning/tuning.ts';
export { type Comparison, compareArrays } from './gpu/measure/compare.ts';
export {
  banned,
  erf,
  flatGroup,
  finite,
  onlineSoftmax,
  random,
  readPanel,
  readWeight,
  samplingCut,
  storePanel,
  workgroupReduce,
} from './kernels/shared/helpers.ts';

// Checkpoints
export { type ByteSource, memorySource, type ModelFiles } from './model/checkpoint/byteSource.ts';
export { urlFiles } from './model/checkpoint/urlFiles.ts';
export { Checkpoint } from './model/checkpoint/checkpoint.ts';
export { type ModelConfig, parseModelConfig } from './model/checkpoint/config.ts';
export { verifyWeights } from './model/checkpoint/verifyWeights.ts';
export { type GeneratedTensor, generatedFiles, generatedTensorsFor } from './parity/generatedCheckpoint.ts';

// Errors
export {
  CheckpointError,
  ConfigError,
  type ErrorCode,
  type ErrorDetails,
  GenerationError,
  GpuError,
  ImageError,
  InputError,
  KernelError,
  M2Error,
  ParityError,
  PromptError,
  ShapeError,
  TokenizerError,
} from './errors.ts';
