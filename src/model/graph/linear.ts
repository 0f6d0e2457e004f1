/** Linear layers: the one place that knows which kernel runs one, and what else that kernel can do on the way. */
import type { Pass } from '../../gpu/pass.ts';
import type { Tensor } from '../../gpu/tensor.ts';
import { INT8_BLOCK } from '../../kernels/fast/linear/gemvInt8.ts';
import type { ModelKernels } from '../load/kernelChoice.ts';
import type { Linear } from '../load/weightLoader.ts';

/** `x · weightᵀ + bias`. `x` [rows, inDim] → [rows, outDim]. */
export function linear(pass: Pass, kernels: ModelKernels, x: Tensor, layer: Linear): Tensor {
  const { weight, bias } = layer;
  const rows = x.shape[0];
  const int8 = int8Call(pass, kernels, x, layer);
  if (int8) {
    if (rows === 1) return kernels.gemvInt8(pass, int8.tensors, int8.params);
    return kernels.matmulInt8(pass, int8.tensors, { rows, ...int8.params });
  }
  if (weight.layout === 'rows') {
    const kernel = rows === 1 ? kernels.gemv : kernels.matmul;
    return kernel(pass, { x, weight, bias });
  }
  if (rows === 1) return kernels.gemvPanels(pass, { x, weight, bias });
  if (layer.inHalf) return kernels.matmulPanelsHalf(pass, halfTensors(pass, kernels, x, layer), { rows });
  const xT = kernels.transposeRows(pass, { x }); // [inDim, paddedRows]
  return kernels.matmulPanels(pass, { xT, weight, bias }, { rows });
}

/** gelu(linear(x)): `x` [rows, inDim] → [rows, outDim]. */
export function geluLinear(pass: Pass, kernels: ModelKernels, x: Tensor, layer: Linear): Tensor {
  const { weight, bias } = layer;
  const rows = x.shape[0];
  if (!kernels.fusesGelu || rows === 1) return kernels.gelu(pass, { x: linear(pass, kernels, x, layer) });
  if (layer.inHalf) return kernels.matmulPanelsHalfGelu(pass, halfTensors(pass, kernels, x, layer), { rows });
  const xT = kernels.transposeRows(pass, { x }); // [inDim, paddedRows]
  return kernels.matmulPanelsGelu(pass, { xT, weight, bias }, { rows });
}

/** The residual connection: `hidden` [rows, outDim] += linear(x), in place. */
export function addLinear(pass: Pass, kernels: ModelKernels, hidden: Tensor, x: Tensor, layer: Linear): void {
  const { weight, bias } = layer;
  const rows = x.shape[0];
  if (!kernels.fusesAdd) {
    kernels.add(pass, { hidden, delta: linear(pass, kernels, x, layer) });
    return;
  }
  const int8 = int8Call(pass, kernels, x, layer);
  if (int8) {
    const tensors = { ...int8.tensors, out: hidden };
    if (rows === 1) kernels.gemvInt8Add(pass, tensors, int8.params);
    else kernels.matmulInt8Add(pass, tensors, { rows, ...int8.params });
  } else if (rows === 1) {
    kernels.gemvPanelsAdd(pass, { x, weight, bias, out: hidden });
  } else if (layer.inHalf) {
    const tensors = { ...halfTensors(pass, kernels, x, layer), out: hidden };
    kernels.matmulPanelsHalfAdd(pass, tensors, { rows });
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
  const int8 = int8Call(pass, kernels, x, gateUp);
  if (int8) {
    if (rows === 1) return kernels.gemvInt8Gate(pass, int8.tensors, int8.params);
    return kernels.matmulInt8Gate(pass, int8.tensors, { rows, ...int8.params });
  }
  if (rows === 1) return kernels.gemvPanelsGate(pass, { x, weight, bias });
  if (gateUp.inHalf)
    return kernels.matmulPanelsHalfGate(pass, halfTensors(pass, kernels, x, gateUp), { rows });
  const xT = kernels.transposeRows(pass, { x }); // [inDim, paddedRows]
  return kernels.matmulPanelsGate(pass, { xT, weight, bias }, { rows });
}

/** What the kernels on 8-bit integers take, `x` quantized; null where the layer's weight is as stored. */
function int8Call(pass: Pass, kernels: ModelKernels, x: Tensor, { weight: quants, bias, scales }: Linear) {
  if (scales === undefined) return null;
  const [rows, inDim] = x.shape;
  const paddedRows = 8 * Math.ceil(rows / 8);
  const xQuants = pass.allocate('u32', [inDim / 4, paddedRows], 'x in 8 bits'); // four to a word
  const xScales = pass.allocate('f32', [inDim / INT8_BLOCK, paddedRows], 'x scales');
  kernels.quantizeRows(pass, { x, xQuants, xScales });
  const params = { weightFirstRow: 0, weightRows: bias.shape[0] };
  return { tensors: { xQuants, xScales, quants, scales, bias }, params };
}

/** What the kernels in f16 take. */
function halfTensors(pass: Pass, kernels: ModelKernels, x: Tensor, { weight, bias }: Linear) {
  const xT = kernels.transposeRows(pass, { x }); // [inDim, paddedRows]
  const xScales = kernels.rowScales(pass, { x }); // [paddedRows]
  return { xT, xScales, weight, bias };
}
