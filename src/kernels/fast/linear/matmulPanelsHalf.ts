import { type KernelCase, read, readWrite, write } from '../../../gpu/declaration.ts';
import { defineKernel } from '../../../gpu/kernel.ts';
import { matmulReference } from '../../plain/reference/matmul.ts';
import { erf, readPanel, readWeight, storePanel } from '../../shared/helpers.ts';
import { endingCases, matmulPanelsContract } from './matmulPanels.ts';
import { matmulPanelsTiled } from './matmulPanelsTiled.ts';
import {
  fromTransposed,
  linearAddReference,
  linearGateReference,
  linearGeluReference,
} from './reference/panelLinear.ts';

const { inputs: panelInputs, ...contract } = matmulPanelsContract;
const inputs = {
  xT: panelInputs.xT,
  xScales: read('f32', [({ rows }) => 8 * Math.ceil(rows / 8)]),
  weight: panelInputs.weight,
  bias: panelInputs.bias,
};
const half = {
  ...contract,
  code: new URL('./matmulPanelsHalf.wgsl', import.meta.url),
  helpers: [readWeight, readPanel, erf, storePanel],
  dispatch: matmulPanelsTiled.declaration.dispatch,
  cases: [...matmulPanelsTiled.declaration.cases.map(withScales), tinyValues()],
  tolerance: {
    abs: 0,
    rel: 3e-3,
    reason:
      'a rounding to f16 is off by at most 2^-11, by 2^-11 / √3 in the root mean square. In a step of 16 products each x, each weight in f32 ' +
      'and each product is rounded, and the partial sums of 2, 3, … 16: √((16 + 16 + 16 + 135) / 16 / 3) = 1.95 times 2^-11 of the sum, in the ' +
      'root mean square, for any number of steps. The largest error of thousands is 4.5 times that, the largest sum at least 1.5 times its own',
  },
};
const cases = endingCases(half.cases);

/**
 * `matmulPanelsTiled` in f16, for GPUs with the feature `shader-f16`: products and the sums of 16 of them are f16, sums of those f32.
 *
 * `xT` [inDim, ceil(rows / 8) · 8] f32 of `transposeRows`, `xScales` [ceil(rows / 8) · 8] f32 of `rowScales`, `weight` [outDim, inDim] in
 * panels, `bias` [outDim] → [rows, outDim] f32.
 *
 * x is divided by its row's scale, so that none of it overflows. Weights are not scaled. Those in bf16 and f16 are exact from 2^-14 up;
 * smaller ones are multiples of 2^-24, and an adapter may take them for zero. In f32 they are rounded to 11 bits. From 4094 up the sum
 * of 16 products may overflow, and from 65520 up a weight is infinite: no weight of this family of models is near (the largest of
 * m2-tiny's tower is 1.1; those of the 7B were not looked at).
 *
 * @throws KernelError KERNEL_FEATURE where the device has no `shader-f16`
 */
export const matmulPanelsHalf = defineKernel({
  ...half,
  name: 'matmulPanelsHalf',
  bindings: { ...inputs, out: write('f32', ['rows', 'outDim']) },
  constants: { EPILOGUE: 0 },
  reference: fromTransposed(matmulReference),
});

/** The same, added to `out` [rows, outDim] f32 in place: `matmul` and `add` in one. */
export const matmulPanelsHalfAdd = defineKernel({
  ...half,
  name: 'matmulPanelsHalfAdd',
  bindings: { ...inputs, out: readWrite('f32', ['rows', 'outDim']) },
  constants: { EPILOGUE: 1 },
  reference: fromTransposed(linearAddReference),
  cases,
});

/** The same with columns that are gate and up in turn → [rows, outDim / 2] f32: `matmul` and `siluGate` in one. */
export const matmulPanelsHalfGate = defineKernel({
  ...half,
  name: 'matmulPanelsHalfGate',
  bindings: { ...inputs, out: write('f32', ['rows', ({ outDim }) => outDim / 2]) },
  constants: { EPILOGUE: 2 },
  reference: fromTransposed(linearGateReference),
  cases,
  tolerance: { abs: 0, rel: 6e-3, reason: 'a product of two such sums: their relative errors add up' },
});

/** The same, then the exact GELU: `matmul` and `gelu` in one. */
export const matmulPanelsHalfGelu = defineKernel({
  ...half,
  name: 'matmulPanelsHalfGelu',
  bindings: { ...inputs, out: write('f32', ['rows', 'outDim']) },
  constants: { EPILOGUE: 3 },
  reference: fromTransposed(linearGeluReference),
  cases,
});

/** A case with powers of two that are not below its x, neighbouring rows different ones. */
function withScales(one: KernelCase): KernelCase {
  const scale = 2 ** Math.ceil(Math.log2(one.scale || 1));
  return { ...one, inputs: ({ rows }) => ({ xScales: scalesFrom(scale, rows) }) };
}

/** x that f16 has no numbers for. */
function tinyValues(): KernelCase {
  return {
    name: 'tiny values',
    sizes: { rows: 3, inDim: 24, outDim: 10 },
    weightDtype: 'bf16',
    inputs: ({ rows, inDim, outDim }) => ({
      xT: Float32Array.from({ length: 8 * inDim }, (_, i) => (((i * 7919) % 1000) / 500 - 1) * 2 ** -40),
      xScales: scalesFrom(2 ** -40, rows),
      bias: new Float32Array(outDim),
    }),
  };
}

function scalesFrom(scale: number, rows: number): Float32Array {
  return Float32Array.from({ length: 8 * Math.ceil(rows / 8) }, (_, row) => scale * 2 ** (row % 3));
}
