import { read, write } from '../../../gpu/declaration.ts';
import { defineKernel } from '../../../gpu/kernel.ts';
import { assertMultipleOf } from '../../../gpu/kernelLimits.ts';
import { paddedRows } from '../../../gpu/panels.ts';
import { flatGroup, panelRows } from '../../shared/helpers.ts';
import { quantizeRowsReference } from './reference/int8.ts';

/**
 * Turns `x` [rows, inDim] f32 into what `gemvInt8` and `matmulInt8` read, 8-bit integers with a scale for each 32 of them:
 * `xQuants` [inDim / 4, ceil(rows / 8) · 8] u32, four integers to a word, `xScales` [inDim / 32, ceil(rows / 8) · 8] f32. Rows
 * past the last are zeros.
 *
 * @throws KernelError KERNEL_LIMIT when inDim is not a multiple of 32
 */
export const quantizeRows = defineKernel({
  name: 'quantizeRows',
  code: new URL('./quantizeRows.wgsl', import.meta.url),
  helpers: [panelRows, flatGroup],
  bindings: {
    x: read('f32', ['rows', 'inDim']),
    xQuants: write('u32', [({ inDim }) => Math.floor(inDim / 4), ({ rows }) => paddedRows(rows)]),
    xScales: write('f32', [({ inDim }) => Math.floor(inDim / 32), ({ rows }) => paddedRows(rows)]),
  },
  constants: { WORKGROUP_SIZE: 16 },
  dispatch: ({ rows, inDim }, { WORKGROUP_SIZE, BLOCK }) => {
    assertMultipleOf('quantizeRows', 'inDim', inDim, BLOCK);
    return [Math.ceil(((inDim / BLOCK) * paddedRows(rows)) / WORKGROUP_SIZE)];
  },
  reference: quantizeRowsReference,
  cases: [
    { name: 'odd rows', sizes: { rows: 13, inDim: 96 } },
    { name: 'the 7B width, one row', sizes: { rows: 1, inDim: 3584 } },
    { name: 'whole rows, large values', sizes: { rows: 8, inDim: 64 }, scale: 1e3 },
    { name: 'nearly zeros', sizes: { rows: 2, inDim: 32 }, scale: 1e-32 },
    { name: 'zeros', sizes: { rows: 2, inDim: 32 }, scale: 0 },
  ],
  tolerance: {
    abs: 0,
    rel: 0,
    reason:
      'the definition rounds to f32 where the kernel does; an adapter whose division is less exact may differ at a tie',
  },
});
