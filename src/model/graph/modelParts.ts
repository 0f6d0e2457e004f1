import type { Gpu } from '../../gpu/device.ts';
import type { ModelConfig } from '../checkpoint/config.ts';
import type { ModelKernels } from '../load/kernelChoice.ts';
import type { ModelWeights } from '../load/weights.ts';

/** What everything that runs a model needs of it. */
export interface ModelParts {
  readonly gpu: Gpu;
  readonly kernels: ModelKernels;
  readonly config: ModelConfig;
  readonly weights: ModelWeights;
}
