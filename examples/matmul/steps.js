// @ts-check
// The steps of docs/kernel-ladder.md as kernels: each has the contract, cases and tolerance of the library's own. Steps 3 and 4 are those.
import { defineKernel, kernels } from 'm2-reasoning';

const { matmul, matmulPanels, transposeRows } = kernels;

/**
 * One value of out per thread.
 *
 * @type {(sizes: Record<string, number>, constants: Record<string, number>) => number[]}
 */
const oneEach = ({ rows, weightRows }, { WORKGROUP_M, WORKGROUP_N }) => [
  Math.ceil(weightRows / WORKGROUP_N),
  Math.ceil(rows / WORKGROUP_M),
];

const naive = matmul.variant({
  name: '1-naive',
  code: new URL('./1-naive.wgsl', import.meta.url),
  dispatch: oneEach,
});
const pairs = matmul.variant({
  name: '2-pairs',
  code: new URL('./2-pairs.wgsl', import.meta.url),
  dispatch: oneEach,
});
const registers = matmul.variant({ name: '3-registers' });
const panels = matmulPanels.variant({ name: '4-panels' });
// Not a variant: that keeps all constants, and this text has other ones.
const workgroup = defineKernel({
  ...matmul.declaration,
  name: '5-workgroup',
  code: new URL('./5-workgroup.wgsl', import.meta.url),
  constants: {},
  dispatch: ({ rows, weightRows }, { TILE }) => [Math.ceil(weightRows / TILE), Math.ceil(rows / TILE)],
});

/**
 * What each step runs, in this order. Step 4 wants x transposed: that is part of what it costs.
 *
 * @type {{ name: string, kernels: import('m2-reasoning').Kernel[] }[]}
 */
export const steps = [[naive], [pairs], [registers], [panels, transposeRows], [workgroup]].map((parts) => ({
  name: parts[0].declaration.name,
  kernels: /** @type {any[]} */ (parts),
}));
