import { read, readWrite } from '../../gpu/declaration.ts';
import { defineKernel } from '../../gpu/kernel.ts';
import { flatGroup } from '../shared/helpers.ts';
import { scatterRowsReference } from './reference/scatterRows.ts';

/**
 * Overwrites the rows of `hidden` that stand for image patches with the image's features, in place.
 *
 * `hidden` [tokens, dim] f32, `features` [rows, dim] f32, `index` [rows] u32: each feature's token, all different.
 * Follows: modeling_qwen2_5.py, prompt_wrap_vision
 */
export const scatterRows = defineKernel({
  name: 'scatterRows',
  code: new URL('./scatterRows.wgsl', import.meta.url),
  helpers: [flatGroup],
  bindings: {
    hidden: readWrite('f32', ['tokens', 'dim']),
    features: read('f32', ['rows', 'dim']),
    index: read('u32', ['rows']),
  },
  constants: { WORKGROUP_SIZE: 64 },
  dispatch: ({ rows, dim }, { WORKGROUP_SIZE }) => [Math.ceil((rows * dim) / WORKGROUP_SIZE)],
  reference: scatterRowsReference,
  touches: ({ rows, tokens }) => ({ hidden: Math.min(1, rows / tokens) }),
  cases: [
    scatterCase('odd sizes', [6, 1, 2], 7, 71),
    scatterCase('one row', [0], 1, 64),
    scatterCase('one column', [3, 2], 5, 1),
    scatterCase('the 7B width', [1, 2], 4, 3584),
  ],
  tolerance: { abs: 0, rel: 0, reason: 'a copy: exact' },
});

function scatterCase(name: string, index: readonly number[], tokens: number, dim: number) {
  return {
    name,
    sizes: { tokens, dim, rows: index.length },
    inputs: () => ({ index: Uint32Array.from(index) }),
  };
}
