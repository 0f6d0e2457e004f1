/** The residual stream of the decoder, and the norms that read it: kernels of their own, or folded into the linear layers. */
import type { Pass } from '../gpu/pass.ts';
import type { Tensor } from '../gpu/tensor.ts';
import type { ModelKernels } from './kernelChoice.ts';
import { addLinear, gatedLinear, linear } from './linear.ts';
import type { Linear } from './weightLoader.ts';

export interface Residual {
  readonly hidden: Tensor; // [tokens, hiddenSize]
  /** What a folded norm needs of `hidden`; whoever changes that keeps it up to date. null: norms are kernels of their own. */
  readonly folded: {
    readonly scaled: Tensor; // [1, hiddenSize]: hidden · the next norm's weight
    readonly squares: Tensor; // [ceil(hiddenSize / 8)]: sums of eight squares of hidden
  } | null;
}

/** @param norm [hiddenSize] of the first norm that reads it */
export function beginResidual(pass: Pass, kernels: ModelKernels, hidden: Tensor, norm: Tensor): Residual {
  const [tokens, hiddenSize] = hidden.shape;
  if (!kernels.foldsNorm || tokens > 1) return { hidden, folded: null };
  const scaled = pass.allocate('f32', [1, hiddenSize], 'scaled');
  const squares = pass.allocate('f32', [Math.ceil(hiddenSize / 8)], 'squares');
  kernels.scaleForNorm(pass, { hidden, gain: norm, scaled, squares });
  return { hidden, folded: { scaled, squares } };
}

/** An RMS norm, as `rmsNorm` takes it. */
export interface Norm {
  readonly weight: Tensor; // [hiddenSize]
  readonly eps: number;
}

/** linear(rmsNorm(hidden)): [tokens, outDim]. */
export function normedLinear(
  pass: Pass,
  kernels: ModelKernels,
  { hidden, folded }: Residual,
  { weight: gain, eps }: Norm,
  layer: Linear,
): Tensor {
  if (folded && layer.weight.layout === 'panels')
    return kernels.gemvPanelsNorm(pass, { x: folded.scaled, squares: folded.squares, ...layer }, { eps });
  const normed = kernels.rmsNorm(pass, { x: hidden, weight: gain }, { eps }); // [tokens, hiddenSize]
  return linear(pass, kernels, normed, layer);
}

/** The first half of a gated MLP on rmsNorm(hidden): [tokens, intermediateSize]. */
export function normedGate(
  pass: Pass,
  kernels: ModelKernels,
  { hidden, folded }: Residual,
  { weight: gain, eps }: Norm,
  gateUp: Linear,
): Tensor {
  if (folded) {
    return kernels.gemvPanelsNormGate(
      pass,
      { x: folded.scaled, squares: folded.squares, ...gateUp },
      { eps },
    );
  }
  const normed = kernels.rmsNorm(pass, { x: hidden, weight: gain }, { eps }); // [tokens, hiddenSize]
  return gatedLinear(pass, kernels, normed, gateUp);
}

/** The residual connection: hidden += linear(x), in place. @param nextNorm [hiddenSize] of the norm that reads it next */
export function addToResidual(
  pass: Pass,
  kernels: ModelKernels,
  { hidden, folded }: Residual,
  x: Tensor,
  layer: Linear,
  nextNorm: Tensor,
): void {
  if (folded) kernels.gemvPanelsAddScale(pass, { x, ...layer, gain: nextNorm, hidden, ...folded });
  else addLinear(pass, kernels, hidden, x, layer);
}
