/** Linear layers: `x · weightᵀ + bias`, and what becomes of the sums. */
import type { Pass } from '../../gpu/pass.ts';
import type { Tensor } from '../../gpu/tensor.ts';
import type { PlainKernels } from '../../kernels/plain/plainKernels.ts';

/** A form may have kernels of its own for up to so many rows: a pass that verifies drafted tokens has them. */
export const FEW_ROWS = 8;

/** What a linear layer is made of; the bias is zeros where the layer has none. */
export interface LinearWeights {
  readonly weight: Tensor; // [outDim, inDim]
  readonly bias: Tensor; // [outDim]
}

/** A linear layer on the GPU. It knows its weights and its kernels: loading gave it a form, of which `plainLinear` is one. */
export interface Linear {
  /** What runs on so many rows. */
  forRows(rows: number): Endings;
}

/** What can become of the sums of a linear layer. `x` is [rows, inDim] f32. */
export interface Endings {
  /** → [rows, outDim] */
  store(pass: Pass, x: Tensor): Tensor;
  /** hidden [rows, outDim] += the sums, in place */
  add(pass: Pass, x: Tensor, hidden: Tensor): void;
  /** silu(gate) · up, where columns are gate and up in turn → [rows, outDim / 2] */
  gate(pass: Pass, x: Tensor): Tensor;
  /** gelu(the sums) → [rows, outDim] */
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

/** The plain form: `gemv` for a single row, `matmul` for more, and every other ending a kernel of its own. */
export function plainLinear(kernels: PlainKernels, { weight, bias }: LinearWeights): Linear {
  const oneRow = plainEndings(kernels, (pass, x) => kernels.gemv(pass, { x, weight, bias })); // [1, outDim]
  const manyRows = plainEndings(kernels, (pass, x) => kernels.matmul(pass, { x, weight, bias })); // [rows, outDim]
  return { forRows: (rows) => (rows === 1 ? oneRow : manyRows) };
}

/** All endings composed: first `store`, then the plain kernel that takes its result. */
export function plainEndings(kernels: PlainKernels, store: Endings['store']): Endings {
  return {
    store,
    add: (pass, x, hidden) => void kernels.add(pass, { hidden, delta: store(pass, x) }),
    gate: (pass, x) => kernels.siluGate(pass, { gateUp: store(pass, x) }),
    gelu: (pass, x) => kernels.gelu(pass, { x: store(pass, x) }),
  };
}
