import { readWrite, write } from '../../../gpu/declaration.ts';
import { defineKernel } from '../../../gpu/kernel.ts';
import type { Symbols } from '../../../gpu/shapes.ts';
import { matmulReference } from '../../plain/reference/matmul.ts';
import { endingCases, matmulPanelsContract } from './matmulPanels.ts';
import {
  fromTransposed,
  linearAddReference,
  linearGateReference,
  linearGeluReference,
} from './reference/panelLinear.ts';

const { inputs, gateTolerance, ...contract } = matmulPanelsContract;
const quad = {
  ...contract,
  code: new URL('./matmulPanelsQuad.wgsl', import.meta.url),
  dispatch: ({ rows, weightRows }: Symbols, { WORKGROUP_M, WORKGROUP_N }: Symbols) => [
    Math.ceil(weightRows / (8 * WORKGROUP_N)),
    Math.ceil(rows / (16 * WORKGROUP_M)),
  ],
  cases: [...contract.cases, { name: 'half a row block', sizes: { rows: 21, inDim: 40, outDim: 66 } }],
};
const constants = { WORKGROUP_M: 1, WORKGROUP_N: 16 };
const cases = endingCases(quad.cases);

/**
 * `matmulPanels` with 16 x 8 values of out per thread, whose lanes share their loads of x four by four: for software adapters with
 * subgroups, and more than eight rows.
 */
export const matmulPanelsQuad = defineKernel({
  ...quad,
  name: 'matmulPanelsQuad',
  bindings: { ...inputs, out: write('f32', ['rows', 'outDim']) },
  constants: { ...constants, EPILOGUE: 0 },
  reference: fromTransposed(matmulReference),
});

/** `matmulPanelsAdd` in the same way. */
export const matmulPanelsQuadAdd = defineKernel({
  ...quad,
  name: 'matmulPanelsQuadAdd',
  bindings: { ...inputs, out: readWrite('f32', ['rows', 'outDim']) },
  constants: { ...constants, EPILOGUE: 1 },
  reference: fromTransposed(linearAddReference),
  cases,
});

/** `matmulPanelsGate` in the same way. */
export const matmulPanelsQuadGate = defineKernel({
  ...quad,
  name: 'matmulPanelsQuadGate',
  bindings: { ...inputs, out: write('f32', ['rows', ({ outDim }) => outDim / 2]) },
  constants: { ...constants, EPILOGUE: 2 },
  reference: fromTransposed(linearGateReference),
  cases,
  tolerance: gateTolerance,
});

/** `matmulPanelsGelu` in the same way. */
export const matmulPanelsQuadGelu = defineKernel({
  ...quad,
  name: 'matmulPanelsQuadGelu',
  bindings: { ...inputs, out: write('f32', ['rows', 'outDim']) },
  constants: { ...constants, EPILOGUE: 3 },
  reference: fromTransposed(linearGeluReference),
  cases,
});
