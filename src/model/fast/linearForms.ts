/** The fast forms of a linear layer: weights in panels of eight rows, multiplied in f32 or f16, and 8-bit integers. */
import type { Kernel } from '../../gpu/kernel.ts';
import { paddedRows } from '../../gpu/panels.ts';
import type { Pass } from '../../gpu/pass.ts';
import type { Tensor } from '../../gpu/tensor.ts';
import { INT8_BLOCK } from '../../kernels/fast/linear/gemvInt8.ts';
import type { PlainKernels } from '../../kernels/plain/plainKernels.ts';
import { type Endings, FEW_ROWS, type Linear, type LinearWeights, plainEndings } from '../graph/linear.ts';
import type { Int8Weights } from './int8Weights.ts';
import type { KernelLookup, LinearFamily, UsedEndings } from './kernelLookup.ts';

/** Weights in panels, in their stored dtype: `gemvPanels` for one row, `matmulPanels` for more. */
export function panelLinear(
  kernels: PlainKernels,
  lookup: KernelLookup,
  weights: LinearWeights,
  endings: UsedEndings = 'all',
): Linear {
  const { weight, bias } = weights;
  const gemv = lookup.family('gemvPanels', 1, weight, endings);
  const oneRow = fused(kernels, gemv, (_, x) => [{ x, weight, bias }]);
  const more = severalRows(kernels, lookup, weights, endings);
  return { forRows: (rows) => (rows === 1 ? oneRow : more.forRows(rows)) };
}

/** Like `panelLinear`, but `matmulPanels` for any number of rows. */
export function severalRows(
  kernels: PlainKernels,
  lookup: KernelLookup,
  { weight, bias }: LinearWeights,
  endings: UsedEndings = 'all',
): Linear {
  const transposeRows = lookup.find('transposeRows');
  const transposed: Prepare = (pass, x) => {
    const xT = transposeRows(pass, { x }); // [inDim, paddedRows]
    return [{ xT, weight, bias }, { rows: x.shape[0] }];
  };
  const fewRows = fused(kernels, lookup.family('matmulPanels', FEW_ROWS, weight, endings), transposed);
  const manyRows = fused(kernels, lookup.family('matmulPanels', FEW_ROWS + 1, weight, endings), transposed);
  return { forRows: (rows) => (rows <= FEW_ROWS ? fewRows : manyRows) };
}

/** Like `severalRows`, but in f16: the products of sixteen columns are summed in f16, and these sums in f32. */
export function halfLinear(
  kernels: PlainKernels,
  lookup: KernelLookup,
  { weight, bias }: LinearWeights,
): Linear {
  const transposeRows = lookup.find('transposeRows');
  const rowScales = lookup.find('rowScales');
  const endings = fused(kernels, lookup.family('matmulPanelsHalf', FEW_ROWS + 1, weight), (pass, x) => {
    const xT = transposeRows(pass, { x }); // [inDim, paddedRows]
    const xScales = rowScales(pass, { x }); // [paddedRows]
    return [{ xT, xScales, weight, bias }, { rows: x.shape[0] }];
  });
  return { forRows: () => endings };
}

/** Weights and activations as 8-bit integers, with an f32 scale for each block of 32. */
export function int8Linear(
  kernels: PlainKernels,
  lookup: KernelLookup,
  { quants, scales, bias }: Int8Weights,
): Linear {
  const quantizeRows = lookup.find('quantizeRows');
  const quantized: Prepare = (pass, x) => {
    const [rows, inDim] = x.shape;
    const xQuants = pass.allocate('u32', [inDim / 4, paddedRows(rows)], 'x in 8 bits'); // four per word
    const xScales = pass.allocate('f32', [inDim / INT8_BLOCK, paddedRows(rows)], 'x scales');
    quantizeRows(pass, { x, xQuants, xScales });
    const whole = { weightFirstRow: 0, weightRows: bias.shape[0] };
    return [{ xQuants, xScales, quants, scales, bias }, rows === 1 ? whole : { rows, ...whole }];
  };
  const oneRow = fused(kernels, lookup.family('gemvInt8', 1), quantized);
  const fewRows = fused(kernels, lookup.family('matmulInt8', FEW_ROWS), quantized);
  const manyRows = fused(kernels, lookup.family('matmulInt8', FEW_ROWS + 1), quantized);
  return { forRows: (rows) => (rows === 1 ? oneRow : rows <= FEW_ROWS ? fewRows : manyRows) };
}

/** Makes the inputs of a family's kernels from `x` [rows, inDim]: all tensors except `out`, and the params. */
type Prepare = (
  pass: Pass,
  x: Tensor,
) => readonly [Readonly<Record<string, Tensor>>, Readonly<Record<string, number>>?];

/** The endings of one family. Those without a kernel are composed of `store` and a plain kernel. */
function fused(kernels: PlainKernels, { store, add, gate, gelu }: LinearFamily, prepare: Prepare): Endings {
  const run = (kernel: Kernel) => (pass: Pass, x: Tensor, out?: Tensor) => {
    const [tensors, params] = prepare(pass, x);
    return kernel(pass, out ? { ...tensors, out } : tensors, params);
  };
  return {
    ...plainEndings(kernels, run(store)),
    ...(add && { add: run(add) }),
    ...(gate && { gate: run(gate) }),
    ...(gelu && { gelu: run(gelu) }),
  };
}
