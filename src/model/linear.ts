/** Linear layers: the one place that knows which kernel runs one, and what else that kernel can do on the way. */
import type { Pass } from '../gpu/pass.ts';
import type { Tensor } from '../gpu/tensor.ts';
import type { ModelKernels } from './kernelChoice.ts';
import type { Linear } from './weightLoader.ts';

/** `x · weightᵀ + bias`. `x` [rows, inDim] → [rows, outDim]. */
export function linear(pass: Pass, kernels: ModelKernels, x: Tensor, { weight, bias }: Linear): Tensor {
  const rows = x.shape[0];
  if (weight.layout === 'rows') {
    const kernel = rows === 1 ? kernels.gemv : kernels.matmul;
    return kernel(pass, { x, weight, bias });
  }
  if (rows === 1) return kernels.gemvPanels(pass, { x, weight, bias });
  const xT = kernels.transposeRows(pass, { x }); // [inDim, paddedRows]
  return kernels.matmulPanels(pass, { xT, weight, bias }, { rows });
}

/** The residual connection: `hidden` [rows, outDim] += linear(x), in place. */
export function addLinear(pass: Pass, kernels: ModelKernels, hidden: Tensor, x: Tensor, layer: Linear): void {
  const { weight, bias } = layer;
  const rows = x.shape[0];
  if (!kernels.fusesAdd) {
    kernels.add(pass, { hidden, delta: linear(pass, kernels, x, layer) });
  } else if (rows === 1) {
    kernels.gemvPanelsAdd(pass, { x, weight, bias, out: hidden });
  } else {
    const xT = kernels.transposeRows(pass, { x }); // [inDim, paddedRows]
    kernels.matmulPanelsAdd(pass, { xT, weight, bias, out: hidden }, { rows });
  }
}

/** The first half of a gated MLP: silu(gate) · up. `x` [rows, inDim] → [rows, intermediateSize]. */
export function gatedLinear(pass: Pass, kernels: ModelKernels, x: Tensor, gateUp: Linear): Tensor {
  const { weight, bias } = gateUp;
  const rows = x.shape[0];
  if (!kernels.fusesGate) return kernels.siluGate(pass, { gateUp: linear(pass, kernels, x, gateUp) });
  if (rows === 1) return kernels.gemvPanelsGate(pass, { x, weight, bias });
  const xT = kernels.transposeRows(pass, { x }); // [inDim, paddedRows]
  return kernels.matmulPanelsGate(pass, { xT, weight, bias }, { rows });
}
