import type { Pass } from '../gpu/pass.ts';
import type { Tensor } from '../gpu/tensor.ts';
import type { KernelSet } from '../kernels/index.ts';
import type { Linear } from './weights.ts';

/** A linear layer: the one place that chooses its kernel. `x` [rows, inDim] → [rows, outDim]. */
export function linear(pass: Pass, kernels: KernelSet, x: Tensor, { weight, bias }: Linear): Tensor {
  const rows = x.shape[0];
  const kernel = rows === 1 ? kernels.gemv : kernels.matmul;
  return kernel(pass, { x, weight, bias });
}
