import type { Gpu } from '../../gpu/device.ts';
import type { ChoosingKernels } from '../../kernels/choose/choosingKernels.ts';
import type { PlainKernels } from '../../kernels/plain/plainKernels.ts';
import type { ModelConfig } from '../checkpoint/config.ts';
import type { Attention } from './attention.ts';
import type { ModelWeights } from './weights.ts';

/** What everything that runs a model needs of it. */
export interface ModelParts {
  readonly gpu: Gpu;
  readonly config: ModelConfig;
  /** The kernels that the graph and the choice of tokens call by name; linear layers and attention know their own. */
  readonly kernels: PlainKernels & ChoosingKernels;
  readonly attention: Attention;
  readonly weights: ModelWeights;
}
