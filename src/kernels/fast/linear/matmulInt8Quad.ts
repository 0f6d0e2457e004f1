import { readWrite, write } from '../../../gpu/declaration.ts';
import { defineKernel } from '../../../gpu/kernel.ts';
import { matmulReference } from '../../plain/reference/matmul.ts';
import { products } from '../../shared/helpers.ts';
import { int8Contract } from './gemvInt8.ts';
import { matmulInt8Contract } from './matmulInt8.ts';
import { fromQuants } from './reference/int8.ts';
import { linearAddReference, linearGateReference } from './reference/panelLinear.ts';

const { inputs, gateTolerance, ...contract } = matmulInt8Contract;
const quad = {
  ...contract,
  code: new URL('./matmulInt8Quad.wgsl', import.meta.url),
  helpers: [...contract.helpers, products],
  cases: [
    ...contract.cases,
    int8Contract.wholeCase('quads with one row block, or one panel', { rows: 20, words: 8, outDim: 34 }),
    int8Contract.wholeCase('quads past the edge', { rows: 70, words: 8, outDim: 98 }),
  ],
};
const constants = { WORKGROUP_M: 8, WORKGROUP_N: 8 };

/** `matmulInt8` whose lanes share what they load and unpack four by four: for software adapters with subgroups, and more than eight rows. */
export const matmulInt8Quad = defineKernel({
  ...quad,
  name: 'matmulInt8Quad',
  bindings: { ...inputs, out: write('f32', ['rows', 'outDim']) },
  constants: { ...constants, EPILOGUE: 0 },
  reference: fromQuants(matmulReference),
});

/** `matmulInt8Add` in the same way. */
export const matmulInt8QuadAdd = defineKernel({
  ...quad,
  name: 'matmulInt8QuadAdd',
  bindings: { ...inputs, out: readWrite('f32', ['rows', 'outDim']) },
  constants: { ...constants, EPILOGUE: 1 },
  reference: fromQuants(linearAddReference),
});

/** `matmulInt8Gate` in the same way. */
export const matmulInt8QuadGate = defineKernel({
  ...quad,
  name: 'matmulInt8QuadGate',
  bindings: { ...inputs, out: write('f32', ['rows', ({ outDim }) => outDim / 2]) },
  constants: { ...constants, EPILOGUE: 2 },
  reference: fromQuants(linearGateReference),
  tolerance: gateTolerance,
});
