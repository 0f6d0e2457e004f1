import type { Pass } from '../gpu/pass.ts';
import type { Tensor } from '../gpu/tensor.ts';
import type { ModelKernels } from './kernelChoice.ts';
import { linear } from './linear.ts';
import type { Linear } from './weightLoader.ts';

const L2_EPS = 1e-12; // torch.nn.functional.normalize's default

/**
 * Maps vision features to the decoder's width and scales each to length 1.
 *
 * `features` [merged, outHiddenSize] f32 → [merged, hiddenSize] f32.
 * Follows: modeling_bailing_qwen2_5.py, extract_image_feature
 */
export function projectFeatures(
  pass: Pass,
  kernels: ModelKernels,
  layers: readonly Linear[],
  features: Tensor,
): Tensor {
  let projected = linear(pass, kernels, features, layers[0]); // [merged, hiddenSize]
  for (const layer of layers.slice(1)) {
    projected = linear(pass, kernels, kernels.gelu(pass, { x: projected }), layer); // [merged, hiddenSize]
  }
  pass.tap('linear_proj', projected);
  const embeds = kernels.l2Normalize(pass, { x: projected }, { eps: L2_EPS }); // [merged, hiddenSize]
  pass.tap('image_embeds', embeds);
  return embeds;
}
