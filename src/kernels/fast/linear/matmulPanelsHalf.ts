import { type KernelCase, read } from '../../../gpu/declaration.ts';
import { PANEL_ROWS, paddedRows } from '../../../gpu/panels.ts';
import { linearFamily } from './linearFamily.ts';
import { matmulPanelsTiledContract } from './matmulPanelsTiled.ts';

const { xT, ...weightAndBias } = matmulPanelsTiledContract.inputs;

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
export const matmulPanelsHalfFamily = linearFamily({
  ...matmulPanelsTiledContract,
  name: 'matmulPanelsHalf',
  code: new URL('./matmulPanelsHalf.wgsl', import.meta.url),
  inputs: { xT, xScales: read('f32', [({ rows }) => paddedRows(rows)]), ...weightAndBias },
  cases: [...matmulPanelsTiledContract.cases.map(withScales), tinyValues()],
  tolerance: {
    abs: 0,
    rel: 3e-3,
    reason:
      'a rounding to f16 is off by at most 2^-11, by 2^-11 / √3 in the root mean square. In a step of 16 products each x, each weight in f32 ' +
      'and each product is rounded, and the partial sums of 2, 3, … 16: √((16 + 16 + 16 + 135) / 16 / 3) = 1.95 times 2^-11 of the sum, in the ' +
      'root mean square, for any number of steps. The largest error of thousands is 4.5 times that, the largest sum at least 1.5 times its own',
  },
  gateTolerance: { abs: 0, rel: 6e-3, reason: 'a product of two such sums: their relative errors add up' },
});
export const {
  store: matmulPanelsHalf,
  add: matmulPanelsHalfAdd,
  gate: matmulPanelsHalfGate,
  gelu: matmulPanelsHalfGelu,
} = matmulPanelsHalfFamily;

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
      xT: Float32Array.from(
        { length: PANEL_ROWS * inDim },
        (_, i) => (((i * 7919) % 1000) / 500 - 1) * 2 ** -40,
      ),
      xScales: scalesFrom(2 ** -40, rows),
      bias: new Float32Array(outDim),
    }),
  };
}

function scalesFrom(scale: number, rows: number): Float32Array {
  return Float32Array.from({ length: paddedRows(rows) }, (_, row) => scale * 2 ** (row % 3));
}
