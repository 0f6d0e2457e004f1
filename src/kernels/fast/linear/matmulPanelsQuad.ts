import { PANEL_ROWS } from '../../../gpu/panels.ts';
import type { Symbols } from '../../../gpu/shapes.ts';
import { inBf16, linearFamily } from './linearFamily.ts';
import { matmulPanelsContract } from './matmulPanels.ts';

/**
 * `matmulPanels` with 16 x 8 values of out per thread, whose lanes share their loads of x four by four: for software adapters with
 * subgroups, and more than eight rows.
 */
export const matmulPanelsQuadFamily = linearFamily({
  ...matmulPanelsContract,
  name: 'matmulPanelsQuad',
  code: new URL('./matmulPanelsQuad.wgsl', import.meta.url),
  constants: { WORKGROUP_M: 1, WORKGROUP_N: 16 },
  dispatch: ({ rows, weightRows }: Symbols, { WORKGROUP_M, WORKGROUP_N, THREAD_ROWS }: Symbols) => [
    Math.ceil(weightRows / (PANEL_ROWS * WORKGROUP_N)),
    Math.ceil(rows / (THREAD_ROWS * WORKGROUP_M)),
  ],
  cases: inBf16([
    ...matmulPanelsContract.cases,
    { name: 'half a row block', sizes: { rows: 21, inDim: 40, outDim: 66 } },
  ]),
});
export const {
  store: matmulPanelsQuad,
  add: matmulPanelsQuadAdd,
  gate: matmulPanelsQuadGate,
  gelu: matmulPanelsQuadGelu,
} = matmulPanelsQuadFamily;
