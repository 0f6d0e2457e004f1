import { read, write } from '../../gpu/declaration.ts';
import { defineKernel } from '../../gpu/kernel.ts';
import { flatGroup } from '../shared/helpers.ts';
import { siluGateReference } from './reference/siluGate.ts';

/**
 * silu(gate) · up, for gate and up columns that alternate.
 *
 * `gateUp` [rows, 2 · dim] f32 → [rows, dim] f32.
 * Follows: modeling_qwen2_5.py, Qwen2MLP
 */
export const siluGate = defineKernel({
  name: 'siluGate',
  code: new URL('./siluGate.wgsl', import.meta.url),
  helpers: [flatGroup],
  bindings: {
    gateUp: read('f32', ['rows', 'gateUpDim']),
    out: write('f32', ['rows', ({ gateUpDim }) => gateUpDim / 2]),
  },
  constants: { WORKGROUP_SIZE: 64 },
  dispatch: ({ rows, gateUpDim }, { WORKGROUP_SIZE }) => [Math.ceil((rows * gateUpDim) / 2 / WORKGROUP_SIZE)],
  reference: siluGateReference,
  cases: [
    { name: 'odd sizes', sizes: { rows: 3, gateUpDim: 142 } },
    { name: 'one row', sizes: { rows: 1, gateUpDim: 64 } },
    { name: 'one column', sizes: { rows: 7, gateUpDim: 2 } },
    { name: 'the 7B vision MLP', sizes: { rows: 2, gateUpDim: 6840 }, scale: 8 },
    { name: 'large values', sizes: { rows: 2, gateUpDim: 34 }, scale: 1e4 },
    { name: 'zeros', sizes: { rows: 2, gateUpDim: 34 }, scale: 0 },
  ],
  tolerance: { abs: 0, rel: 1e-6, reason: 'WGSL allows exp an error of 3 + 2·|x| units in the last place' },
});
