import { read, write } from '../../../gpu/declaration.ts';
import { defineKernel } from '../../../gpu/kernel.ts';
import { paddedRows } from '../../../gpu/panels.ts';
import { flatGroup, panelRows } from '../../shared/helpers.ts';
import { transposeRowsReference } from './reference/transposeRows.ts';

/** Turns `x` [rows, inDim] f32 into what `matmulPanels` reads, [inDim, ceil(rows / 8) · 8] f32: the last row fills it up. */
export const transposeRows = defineKernel({
  name: 'transposeRows',
  code: new URL('./transposeRows.wgsl', import.meta.url),
  helpers: [panelRows, flatGroup],
  bindings: {
    x: read('f32', ['rows', 'inDim']),
    out: write('f32', ['inDim', ({ rows }) => paddedRows(rows)]),
  },
  constants: { WORKGROUP_SIZE: 64 },
  dispatch: ({ rows, inDim }, { WORKGROUP_SIZE }) => [
    Math.ceil((Math.ceil(inDim / 4) * (paddedRows(rows) / 4)) / WORKGROUP_SIZE),
  ],
  reference: transposeRowsReference,
  cases: [
    { name: 'odd sizes', sizes: { rows: 13, inDim: 71 } },
    { name: 'whole blocks', sizes: { rows: 16, inDim: 24 } },
    { name: 'one row', sizes: { rows: 1, inDim: 5 } },
    { name: 'one column', sizes: { rows: 9, inDim: 1 } },
  ],
  tolerance: { abs: 0, rel: 0, reason: 'a copy: exact' },
});
