/** The fast forms of a linear layer: weights in panels of eight rows, in 8-bit integers, or multiplied in f16. */
import type { Kernel } from '../../gpu/kernel.ts';
import { paddedRows } from '../../gpu/panels.ts';
import type { Pass } from '../../gpu/pass.ts';
import type { Tensor } from '../../gpu/tensor.ts';
import { INT8_BLOCK } from '../../kernels/fast/linear/gemvInt8.ts';
import type { PlainKernels } from '../../kernels/plain/plainKernels.ts';
import { type Endings, FEW_ROWS, type Linear, type LinearWeights, plainEndings } from '../graph/linear.ts';
import type { Int8Weights } from './int8Weights.ts';
import type { KernelLookup, LinearFamily, UsedEndings } from './kernelLookup.ts';

/** Weights in panels, as stored: `gemvPanels` for one row, `matmulPanels` for more. */
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

/** As `panelLinear`, but `matmulPanels` for any number of rows. */
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

/** As `severalRows`, but multiplied in f16: products of sixteen columns are added in f16, then in f32. */
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

/** Weights and activations in 8-bit integers, with a scale for each block of 32. */
export function int8Linear(
  kernels: PlainKernels,
  lookup: KernelLookup,
  { quants, scales, bias }: Int8Weights,
): Linear {
  const quantizeRows = lookup.find('quantizeRows');
  const quantized: Prepare = (pass, x) => {
    const [rows, inDim] = x.shape;
    const xQuants = pass.allocate('u32', [inDim / 4, paddedRows(rows)], 'x in 8 bits'); // four to a word
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

/** What the kernels of a family take: tensors but for `out`, and params. `x` is [rows, inDim]. */
type Prepare = (
  pass: Pass,
  x: Tensor,
) => readonly [Readonly<Record<string, Tensor>>, Readonly<Record<string, number>>?];

/** The endings of one family: what its kernels do with their sums, and what is composed of `store` and a plain kernel. */
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
