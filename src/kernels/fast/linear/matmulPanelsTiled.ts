import { PANEL_ROWS } from '../../../gpu/panels.ts';
import type { Symbols } from '../../../gpu/shapes.ts';
import { inBf16, linearFamily } from './linearFamily.ts';
import { matmulPanelsContract } from './matmulPanels.ts';

/** What the kernels with tiles in workgroup memory have in common; see `matmulPanelsTiled`. */
export const matmulPanelsTiledContract = {
  ...matmulPanelsContract,
  name: 'matmulPanelsTiled',
  code: new URL('./matmulPanelsTiled.wgsl', import.meta.url),
  constants: {},
  dispatch: ({ rows, weightRows }: Symbols, { TILE_PANELS, TILE_ROWS }: Symbols) => [
    Math.ceil(weightRows / (PANEL_ROWS * TILE_PANELS)),
    Math.ceil(rows / TILE_ROWS),
  ],
  cases: [
    ...inBf16(matmulPanelsContract.cases),
    { name: 'two by two tiles', sizes: { rows: 67, inDim: 33, outDim: 70 }, weightDtype: 'bf16' },
    { name: 'weights in f32', sizes: { rows: 13, inDim: 71, outDim: 66 }, weightDtype: 'f32' }, // two words each in the tile
  ],
} as const;

/** `matmulPanels` by way of workgroup memory, 64 x 64 values of out per workgroup: for GPUs, where far apart reads are slow. */
export const matmulPanelsTiledFamily = linearFamily(matmulPanelsTiledContract);
export const {
  store: matmulPanelsTiled,
  add: matmulPanelsTiledAdd,
  gate: matmulPanelsTiledGate,
  gelu: matmulPanelsTiledGelu,
} = matmulPanelsTiledFamily;
