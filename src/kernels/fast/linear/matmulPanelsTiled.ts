import { readWrite, write } from '../../../gpu/declaration.ts';
import { defineKernel } from '../../../gpu/kernel.ts';
import { matmulReference } from '../../plain/reference/matmul.ts';
import { endingCases, matmulPanelsContract } from './matmulPanels.ts';
import {
  fromTransposed,
  linearAddReference,
  linearGateReference,
  linearGeluReference,
} from './reference/panelLinear.ts';

const { inputs, gateTolerance, ...contract } = matmulPanelsContract;
const tiled = {
  ...contract,
  code: new URL('./matmulPanelsTiled.wgsl', import.meta.url),
  dispatch: ({ rows, weightRows }: Record<string, number>, constants: Record<string, number>) => [
    Math.ceil(weightRows / (8 * constants.TILE_PANELS)),
    Math.ceil(rows / constants.TILE_ROWS),
  ],
  cases: [
    ...contract.cases,
    { name: 'two by two tiles', sizes: { rows: 67, inDim: 33, outDim: 70 }, weightDtype: 'bf16' as const },
  ],
};
const cases = endingCases(tiled.cases);

/** `matmulPanels` by way of workgroup memory, 64 x 64 values of out per workgroup: for GPUs, where far apart reads are slow. */
export const matmulPanelsTiled = defineKernel({
  ...tiled,
  name: 'matmulPanelsTiled',
  bindings: { ...inputs, out: write('f32', ['rows', 'outDim']) },
  constants: { EPILOGUE: 0 },
  reference: fromTransposed(matmulReference),
});

/** `matmulPanelsAdd` in the same way. */
export const matmulPanelsTiledAdd = defineKernel({
  ...tiled,
  name: 'matmulPanelsTiledAdd',
  bindings: { ...inputs, out: readWrite('f32', ['rows', 'outDim']) },
  constants: { EPILOGUE: 1 },
  reference: fromTransposed(linearAddReference),
  cases,
});

/** `matmulPanelsGate` in the same way. */
export const matmulPanelsTiledGate = defineKernel({
  ...tiled,
  name: 'matmulPanelsTiledGate',
  bindings: { ...inputs, out: write('f32', ['rows', ({ outDim }) => outDim / 2]) },
  constants: { EPILOGUE: 2 },
  reference: fromTransposed(linearGateReference),
  cases,
  tolerance: gateTolerance,
});

/** `matmulPanelsGelu` in the same way. */
export const matmulPanelsTiledGelu = defineKernel({
  ...tiled,
  name: 'matmulPanelsTiledGelu',
  bindings: { ...inputs, out: write('f32', ['rows', 'outDim']) },
  constants: { EPILOGUE: 3 },
  reference: fromTransposed(linearGeluReference),
  cases,
});
