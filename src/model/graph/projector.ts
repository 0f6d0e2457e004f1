import type { Pass } from '../../gpu/pass.ts';
import type { Tensor } from '../../gpu/tensor.ts';
import type { PlainKernels } from '../../kernels/plain/plainKernels.ts';
import { geluLinear, type Linear, linear } from './linear.ts';

const L2_EPS = 1e-12; // torch.nn.functional.normalize's default

/**
 * Maps vision features to the decoder's width and scales each row to length 1.
 *
 * `features` [merged, outHiddenSize] f32 → [merged, hiddenSize] f32.
 * Follows: modeling_bailing_qwen2_5.py, extract_image_feature
 */
export function projectFeatures(
  pass: Pass,
  kernels: PlainKernels,
  layers: readonly Linear[],
  features: Tensor,
): Tensor {
  let inner = features; // [merged, outHiddenSize], then [merged, hiddenSize]
  for (const layer of layers.slice(0, -1)) inner = geluLinear(pass, inner, layer);
  const projected = linear(pass, inner, layers[layers.length - 1]); // [merged, hiddenSize]
  pass.tap('linear_proj', projected);
  const embeds = kernels.l2Normalize(pass, { x: projected }, { eps: L2_EPS }); // [merged, hiddenSize]
  pass.tap('image_embeds', embeds);
  return embeds;
}
