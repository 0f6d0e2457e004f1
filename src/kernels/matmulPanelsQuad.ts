import { readWrite, write } from '../gpu/declaration.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { endingCases, matmulPanelsContract } from './matmulPanels.ts';
import { matmulReference } from './reference/matmul.ts';
import {
  fromTransposed,
  linearAddReference,
  linearGateReference,
  linearGeluReference,
} from './reference/panelLinear.ts';

const { inputs, gateTolerance, ...contract } = matmulPanelsContract;
const quad = { ...contract, code: new URL('./matmulPanelsQuad.wgsl', import.meta.url) };
const constants = { WORKGROUP_M: 8, WORKGROUP_N: 8 };
const cases = endingCases(contract.cases);

/** `matmulPanels` whose lanes share their loads of x four by four: for software adapters with subgroups of eight and more. */
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
