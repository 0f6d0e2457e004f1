// @ts-check
// The steps of docs/kernel-ladder.md as kernels with the contract, cases and tolerance of the library's own kernels.
import { defineKernel, kernels, readPanel, readWeight } from 'm2-reasoning';

const { matmul, matmulPanels, transposeRows } = kernels;

/**
 * The dispatch for blocks of `perThread` x `perThread` values of out per thread.
 *
 * @param {number} perThread
 * @returns {(sizes: Record<string, number>, constants: Record<string, number>) => number[]}
 */
const blocks =
  (perThread) =>
  ({ rows, weightRows }, { WORKGROUP_M, WORKGROUP_N }) => [
    Math.ceil(weightRows / (WORKGROUP_N * perThread)),
    Math.ceil(rows / (WORKGROUP_M * perThread)),
  ];

const naive = matmul.variant({
  name: '1-naive',
  code: new URL('./1-naive.wgsl', import.meta.url),
  dispatch: blocks(1),
});
const pairs = matmul.variant({
  name: '2-pairs',
  code: new URL('./2-pairs.wgsl', import.meta.url),
  dispatch: blocks(1),
});
const registers = matmul.variant({
  name: '3-registers',
  code: new URL('./3-registers.wgsl', import.meta.url),
  dispatch: blocks(4),
});
// Not variants, because a variant keeps all constants, but these texts have different ones.
const panels = defineKernel({
  ...matmulPanels.declaration,
  name: '4-panels',
  code: new URL('./4-panels.wgsl', import.meta.url),
  helpers: [readWeight, readPanel],
  constants: { WORKGROUP_M: 8, WORKGROUP_N: 8 },
  dispatch: blocks(8),
});
const workgroup = defineKernel({
  ...matmul.declaration,
  name: '5-workgroup',
  code: new URL('./5-workgroup.wgsl', import.meta.url),
  constants: {},
  dispatch: ({ rows, weightRows }, { TILE }) => [Math.ceil(weightRows / TILE), Math.ceil(rows / TILE)],
});

/**
 * The kernels of each step. Step 4 also transposes x, which is part of its cost.
 *
 * @type {{ name: string, kernels: import('m2-reasoning').Kernel[] }[]}
 */
export const steps = [[naive], [pairs], [registers], [panels, transposeRows], [workgroup]].map((parts) => ({
  name: parts[0].declaration.name,
  kernels: /** @type {any[]} */ (parts),
}));
