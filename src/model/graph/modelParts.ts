import type { Gpu } from '../../gpu/device.ts';
import type { ChoosingKernels } from '../../kernels/choose/choosingKernels.ts';
import type { PlainKernels } from '../../kernels/plain/plainKernels.ts';
import type { ModelConfig } from '../checkpoint/config.ts';
import type { Attention } from './attention.ts';
import type { ModelWeights } from './weights.ts';

/** The loaded parts of a model, as needed to run it. */
export interface ModelParts {
  readonly gpu: Gpu;
  readonly config: ModelConfig;
  /** The kernels that the graph and the token choice call by name. Linear layers and attention hold their own. */
  readonly kernels: PlainKernels & ChoosingKernels;
  readonly attention: Attention;
  readonly weights: ModelWeights;
}
