import { read, write } from '../../../gpu/declaration.ts';
import { defineKernel } from '../../../gpu/kernel.ts';
import { paddedRows } from '../../../gpu/panels.ts';
import { flatGroup, panelRows, workgroupReduce } from '../../shared/helpers.ts';
import { rowScalesReference } from './reference/rowScales.ts';

/**
 * The least power of two that is not below any |value| of a row, for `matmulPanelsHalf`: `x` [rows, inDim] f32 →
 * [ceil(rows / 8) · 8] f32, from 2^-126 to 2^126; the last row's fills it up.
 */
export const rowScales = defineKernel({
  name: 'rowScales',
  code: new URL('./rowScales.wgsl', import.meta.url),
  helpers: [panelRows, flatGroup, workgroupReduce],
  bindings: {
    x: read('f32', ['rows', 'inDim']),
    out: write('f32', [({ rows }) => paddedRows(rows)]),
  },
  constants: { WORKGROUP_SIZE: 64 },
  dispatch: ({ rows }) => [paddedRows(rows)],
  reference: rowScalesReference,
  cases: [
    { name: 'odd sizes', sizes: { rows: 13, inDim: 71 } },
    { name: 'the 7B vision tower', sizes: { rows: 3, inDim: 1280 }, scale: 300 },
    { name: 'one value', sizes: { rows: 1, inDim: 1 }, scale: 1e9 },
    {
      name: 'powers of two, and the next values',
      sizes: { rows: 4, inDim: 2 },
      inputs: () => ({ x: Float32Array.of(1, 0, 0.5, -4, 1 + 2 ** -23, 1, 0, -2 + 2 ** -23) }),
    },
    {
      name: 'the ends of f32',
      sizes: { rows: 5, inDim: 1 },
      inputs: () => ({ x: Float32Array.of(3.4e38, 2 ** 126, 2 ** -126, 1e-40, 0) }),
    },
  ],
  tolerance: { abs: 0, rel: 0, reason: 'powers of two, found among the bits: exact' },
});
