/** Linear layers: `x · weightᵀ + bias`, and what happens to the result (the endings). */
import type { Pass } from '../../gpu/pass.ts';
import type { Tensor } from '../../gpu/tensor.ts';
import type { PlainKernels } from '../../kernels/plain/plainKernels.ts';

/** Forms may use other kernels for up to this many rows. A pass that verifies a draft has exactly as many. */
export const FEW_ROWS = 8;

/** The weights of a linear layer. A layer without bias has one of zeros. */
export interface LinearWeights {
  readonly weight: Tensor; // [outDim, inDim]
  readonly bias: Tensor; // [outDim]
}

/** A linear layer on the GPU with its weights and kernels. Its form is chosen at load; `plainLinear` is one. */
export interface Linear {
  /** The layer for an input of this many rows. */
  forRows(rows: number): Endings;
}

/** The endings of a linear layer, for `x` [rows, inDim] f32. `y` is `x · weightᵀ + bias` [rows, outDim]. */
export interface Endings {
  /** → y [rows, outDim] f32 */
  store(pass: Pass, x: Tensor): Tensor;
  /** hidden [rows, outDim] f32 += y, in place */
  add(pass: Pass, x: Tensor, hidden: Tensor): void;
  /** silu(gate) · up, where the columns of y alternate gate and up → [rows, outDim / 2] f32 */
  gate(pass: Pass, x: Tensor): Tensor;
  /** gelu(y) → [rows, outDim] f32 */
  gelu(pass: Pass, x: Tensor): Tensor;
}

/** `x` [rows, inDim] → [rows, outDim]. */
export function linear(pass: Pass, x: Tensor, layer: Linear): Tensor {
  return layer.forRows(x.shape[0]).store(pass, x);
}

/** The residual connection: `hidden` [rows, outDim] += linear(x), in place. */
export function addLinear(pass: Pass, hidden: Tensor, x: Tensor, layer: Linear): void {
  layer.forRows(x.shape[0]).add(pass, x, hidden);
}

/** The first half of a gated MLP: silu(gate) · up. `x` [rows, inDim] → [rows, intermediateSize]. */
export function gatedLinear(pass: Pass, x: Tensor, gateUp: Linear): Tensor {
  return gateUp.forRows(x.shape[0]).gate(pass, x);
}

/** gelu(linear(x)): `x` [rows, inDim] → [rows, outDim]. */
export function geluLinear(pass: Pass, x: Tensor, layer: Linear): Tensor {
  return layer.forRows(x.shape[0]).gelu(pass, x);
}

/** The plain form: `gemv` for one row, `matmul` for more, followed by a kernel for the ending. */
export function plainLinear(kernels: PlainKernels, { weight, bias }: LinearWeights): Linear {
  const oneRow = plainEndings(kernels, (pass, x) => kernels.gemv(pass, { x, weight, bias })); // [1, outDim]
  const manyRows = plainEndings(kernels, (pass, x) => kernels.matmul(pass, { x, weight, bias })); // [rows, outDim]
  return { forRows: (rows) => (rows === 1 ? oneRow : manyRows) };
}

/** The endings as compositions: `store`, followed by a plain kernel. */
export function plainEndings(kernels: PlainKernels, store: Endings['store']): Endings {
  return {
    store,
    add: (pass, x, hidden) => void kernels.add(pass, { hidden, delta: store(pass, x) }),
    gate: (pass, x) => kernels.siluGate(pass, { gateUp: store(pass, x) }),
    gelu: (pass, x) => kernels.gelu(pass, { x: store(pass, x) }),
  };
}
