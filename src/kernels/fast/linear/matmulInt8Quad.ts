import { products } from '../../shared/helpers.ts';
import { wholeCase } from './gemvInt8.ts';
import { linearFamily } from './linearFamily.ts';
import { matmulInt8Contract } from './matmulInt8.ts';

/**
 * `matmulInt8` in which four lanes share what they load and unpack: for software adapters with subgroups, and more than eight rows.
 */
export const matmulInt8QuadFamily = linearFamily({
  ...matmulInt8Contract,
  name: 'matmulInt8Quad',
  code: new URL('./matmulInt8Quad.wgsl', import.meta.url),
  helpers: [...matmulInt8Contract.helpers, products],
  cases: [
    ...matmulInt8Contract.cases,
    wholeCase('quads with one row block, or one panel', { rows: 20, words: 8, outDim: 34 }),
    wholeCase('quads past the edge', { rows: 70, words: 8, outDim: 98 }),
  ],
});
export const {
  store: matmulInt8Quad,
  add: matmulInt8QuadAdd,
  gate: matmulInt8QuadGate,
} = matmulInt8QuadFamily;
