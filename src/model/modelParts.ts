import type { Gpu } from '../gpu/device.ts';
import type { ModelConfig } from './config.ts';
import type { ModelKernels } from './kernelChoice.ts';
import type { ModelWeights } from './weights.ts';

/** What everything that runs a model needs of it. */
export interface ModelParts {
  readonly gpu: Gpu;
  readonly kernels: ModelKernels;
  readonly config: ModelConfig;
  readonly weights: ModelWeights;
}
