import { read, readWrite, weights, write } from '../gpu/declaration.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { gemvPanelsContract } from './gemvPanels.ts';
import {
  gemvAddScaleReference,
  gemvNormGateReference,
  gemvNormReference,
  scaleForNormReference,
} from './reference/foldedNorm.ts';
import { flatGroup, gemvPanel, readPanel, readWeight } from './shared/helpers.ts';

const { inputs, gateTolerance, cases, ...contract } = gemvPanelsContract;
const norm = {
  ...contract,
  code: new URL('./gemvPanelsNorm.wgsl', import.meta.url),
  params: { eps: 'f32' } as const,
  cases: cases.map((kernelCase) => ({
    ...kernelCase,
    sizes: { ...kernelCase.sizes, eps: 1e-6 },
    inputs: ({ inDim }: Record<string, number>) => ({
      squares: Float32Array.from({ length: Math.ceil(inDim / 8) }, (_, i) => 1 + (i % 5)),
    }),
  })),
};
const normInputs = {
  x: inputs.x,
  squares: read('f32', [({ inDim }) => Math.ceil(inDim / 8)]),
  weight: inputs.weight,
  bias: inputs.bias,
};

/**
 * `rmsNorm` and `gemv` in one, where `scaleForNorm` or `gemvPanelsAddScale` has prepared the norm.
 *
 * `x` [1, inDim] f32: the values times the norm's weight, `squares` [ceil(inDim / 8)] f32: sums of the values' squares,
 * `weight` [outDim, inDim] in panels, `bias` [outDim] → [1, outDim] f32.
 */
export const gemvPanelsNorm = defineKernel({
  ...norm,
  name: 'gemvPanelsNorm',
  bindings: { ...normInputs, out: write('f32', [1, 'outDim']) },
  constants: { WORKGROUP_SIZE: 16, EPILOGUE: 0 },
  reference: gemvNormReference,
});

/** The same with columns that are gate and up in turn → [1, outDim / 2] f32: `rmsNorm`, `gemv` and `siluGate` in one. */
export const gemvPanelsNormGate = defineKernel({
  ...norm,
  name: 'gemvPanelsNormGate',
  bindings: { ...normInputs, out: write('f32', [1, ({ outDim }) => outDim / 2]) },
  constants: { WORKGROUP_SIZE: 16, EPILOGUE: 2 },
  reference: gemvNormGateReference,
  tolerance: gateTolerance,
});

/**
 * `gemvPanelsAdd` that prepares the next norm: `hidden` [1, outDim] f32 in place, `gain` [outDim] → `scaled` [1, outDim] f32,
 * `squares` [ceil(outDim / 8)] f32.
 */
export const gemvPanelsAddScale = defineKernel({
  ...contract,
  name: 'gemvPanelsAddScale',
  code: new URL('./gemvPanelsAddScale.wgsl', import.meta.url),
  helpers: [flatGroup, readWeight, readPanel, gemvPanel],
  bindings: {
    ...inputs,
    gain: weights(['outDim']),
    hidden: readWrite('f32', [1, 'outDim']),
    scaled: write('f32', [1, 'outDim']),
    squares: write('f32', [({ outDim }) => Math.ceil(outDim / 8)]),
  },
  constants: { WORKGROUP_SIZE: 16 },
  reference: gemvAddScaleReference,
  cases,
});

/** Prepares a norm: `hidden` [1, dim] f32, `gain` [dim] → `scaled` [1, dim] f32, `squares` [ceil(dim / 8)] f32. */
export const scaleForNorm = defineKernel({
  name: 'scaleForNorm',
  code: new URL('./scaleForNorm.wgsl', import.meta.url),
  helpers: [flatGroup, readWeight],
  bindings: {
    hidden: read('f32', [1, 'dim']),
    gain: weights(['dim']),
    scaled: write('f32', [1, 'dim']),
    squares: write('f32', [({ dim }) => Math.ceil(dim / 8)]),
  },
  constants: { WORKGROUP_SIZE: 16 },
  dispatch: ({ dim }, { WORKGROUP_SIZE }) => [Math.ceil(dim / 8 / WORKGROUP_SIZE)],
  reference: scaleForNormReference,
  cases: [
    { name: 'odd size', sizes: { dim: 71 } },
    { name: 'the 7B width', sizes: { dim: 3584 } },
    { name: 'one value', sizes: { dim: 1 } },
    { name: 'zeros', sizes: { dim: 24 }, scale: 0 },
  ],
  tolerance: { abs: 0, rel: 5e-7, reason: 'a product, or a sum of eight squares' },
});
