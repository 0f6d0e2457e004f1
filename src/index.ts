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
} from './model/generate.ts';
export type { GenerationPreset, SamplingOptions } from './model/samplingOptions.ts';
export type { ControlOptions, LogitsContext, LogitsProcessor } from './model/controlOptions.ts';
export type { TokenLogprob, TokenLogprobs } from './model/tokenLogprobs.ts';
export { GenerationStream } from './model/generationStream.ts';
export { Chat, type ChatOptions, type ChatResult, type TurnOptions } from './model/chat.ts';
export type { LoadProgress } from './model/weightLoader.ts';

// Messages and pictures
export type { ImagePart, Message, TextPart, VideoPart } from './processor/messages.ts';
export type { ImageSource } from './processor/imageSource.ts';
export type { RgbImage } from './processor/rgbImage.ts';
export type { PreparedInputs, PrepareOptions } from './processor/processor.ts';
export { type Positions, positionsFor } from './model/positions.ts';

// The GPU and its tensors
export { Gpu, type OpenGpuOptions, openGpu } from './gpu/device.ts';
export { Pass, type PassListener, type TapListener } from './gpu/pass.ts';
export { freeTensors, readTensor, type Tensor, upload, zeros } from './gpu/tensor.ts';

// Kernels: the standard set, and what your own are made of
export { type KernelSet, kernels } from './kernels/index.ts';
export type { KernelOptions, KernelSetName, Precision } from './model/kernelChoice.ts';
export { defineKernel, type Kernel } from './gpu/kernel.ts';
export { type KernelCase, panels, read, readWrite, weights, write } from './gpu/declaration.ts';
export { type CheckRow, checkKernel } from './gpu/checkKernel.ts';
export { type BenchOptions, type BenchRow, benchKernel } from './gpu/benchKernel.ts';
export { type AdapterRates, measureAdapter } from './gpu/measureAdapter.ts';
export {
  joinProfiles,
  type Profile,
  type ProfileOptions,
  type ProfileRow,
  profilePass,
} from './gpu/profilePass.ts';
export { type CallCost, passCosts } from './gpu/passCosts.ts';
export { type RecordCall, type TimedCalls, timeCalls } from './gpu/timeCalls.ts';
export { type TunedCall, tunedCalls } from './model/tunedCalls.ts';
export type { Tuning, Variant } from './model/tunedKernels.ts';
export { type TuneOptions, type TuneRow, tune } from './model/tuning.ts';
export { type Comparison, compareArrays } from './gpu/compare.ts';
export {
  banned,
  erf,
  flatGroup,
  onlineSoftmax,
  random,
  readPanel,
  readWeight,
  samplingCut,
  storePanel,
  workgroupReduce,
} from './kernels/shared/helpers.ts';

// Checkpoints
export { type ByteSource, memorySource, type ModelFiles } from './model/byteSource.ts';
export { Checkpoint } from './model/checkpoint.ts';
export { type ModelConfig, parseModelConfig } from './model/config.ts';
export { verifyWeights } from './model/verifyWeights.ts';
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
