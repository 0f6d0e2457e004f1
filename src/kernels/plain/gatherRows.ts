import { read, write } from '../../gpu/declaration.ts';
import { defineKernel } from '../../gpu/kernel.ts';
import { flatGroup } from '../shared/helpers.ts';
import { gatherRowsReference } from './reference/gatherRows.ts';

/**
 * Takes rows in a given order: window order, its inverse, or the last row alone.
 *
 * `x` [rows, dim] f32, `index` [outRows] u32, each below rows → [outRows, dim] f32.
 * Follows: qwen2_5_vit.py, the indexing by window_index and reverse_indices
 */
export const gatherRows = defineKernel({
  name: 'gatherRows',
  code: new URL('./gatherRows.wgsl', import.meta.url),
  helpers: [flatGroup],
  bindings: {
    x: read('f32', ['rows', 'dim']),
    index: read('u32', ['outRows']),
    out: write('f32', ['outRows', 'dim']),
  },
  constants: { WORKGROUP_SIZE: 64 },
  dispatch: ({ outRows, dim }, { WORKGROUP_SIZE }) => [Math.ceil((outRows * dim) / WORKGROUP_SIZE)],
  reference: gatherRowsReference,
  touches: ({ rows, outRows }) => ({ x: Math.min(1, outRows / rows) }),
  cases: [
    gatherCase('a permutation, odd width', [3, 0, 4, 1, 2], 5, 71),
    gatherCase('one row out of many', [8], 9, 40),
    gatherCase('one column', [1, 0], 2, 1),
    gatherCase('the 7B merge units', [2, 0, 1], 3, 5120),
    gatherCase('repeated rows', [1, 1, 0], 2, 16),
  ],
  tolerance: { abs: 0, rel: 0, reason: 'a copy: exact' },
});

function gatherCase(name: string, index: readonly number[], rows: number, dim: number) {
  return {
    name,
    sizes: { rows, dim, outRows: index.length },
    inputs: () => ({ index: Uint32Array.from(index) }),
  };
}
