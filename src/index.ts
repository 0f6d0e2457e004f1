/** The public names. */

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
// Kernels: the standard set, and what your own are made of
export { type CheckRow, checkKernel } from './gpu/checkKernel.ts';
export { type Comparison, compareArrays } from './gpu/compare.ts';
export { type KernelCase, read, readWrite, weights, write } from './gpu/declaration.ts';
// The GPU and its tensors
export { Gpu, type OpenGpuOptions, openGpu } from './gpu/device.ts';
export { defineKernel, type Kernel } from './gpu/kernel.ts';
export { Pass, type TapListener } from './gpu/pass.ts';
export { freeTensors, readTensor, type Tensor, upload, zeros } from './gpu/tensor.ts';
export { type KernelSet, kernels } from './kernels/index.ts';
export { flatGroup, onlineSoftmax, readWeight, workgroupReduce } from './kernels/shared/helpers.ts';
// Checkpoints
export { type ByteSource, type ModelFiles, memorySource } from './model/byteSource.ts';
export { Checkpoint } from './model/checkpoint.ts';
export { type ModelConfig, parseModelConfig } from './model/config.ts';
// The model
export type {
  GenerateOptions,
  GenerateProgress,
  GenerationResult,
  GenerationTimings,
} from './model/generate.ts';
export { GenerationStream } from './model/generationStream.ts';
export {
  type ForwardInputs,
  type ForwardOptions,
  type LoadOptions,
  M2Reasoning,
} from './model/m2Reasoning.ts';
export { type Positions, positionsFor } from './model/positions.ts';
export { verifyWeights } from './model/verifyWeights.ts';
export type { LoadProgress } from './model/weights.ts';
export { type GeneratedTensor, generatedFiles, generatedTensorsFor } from './parity/generatedCheckpoint.ts';
// Messages and pictures
export type { ImageSource } from './processor/imageSource.ts';
export type { ImagePart, Message, TextPart } from './processor/messages.ts';
export type { PreparedInputs, PrepareOptions } from './processor/processor.ts';
export type { RgbImage } from './processor/rgbImage.ts';
