import { read, write } from '../../gpu/declaration.ts';
import { defineKernel } from '../../gpu/kernel.ts';
import { flatGroup, workgroupReduce } from '../shared/helpers.ts';
import { l2NormalizeReference } from './reference/l2Normalize.ts';

/**
 * Scales every row to length 1; rows shorter than `eps` are divided by `eps`.
 *
 * `x` [rows, dim] f32 → [rows, dim] f32.
 * Follows: modeling_bailing_qwen2_5.py, extract_image_feature
 */
export const l2Normalize = defineKernel({
  name: 'l2Normalize',
  code: new URL('./l2Normalize.wgsl', import.meta.url),
  helpers: [flatGroup, workgroupReduce],
  bindings: { x: read('f32', ['rows', 'dim']), out: write('f32', ['rows', 'dim']) },
  params: { eps: 'f32' },
  constants: { WORKGROUP_SIZE: 64 },
  dispatch: ({ rows }) => [rows],
  reference: l2NormalizeReference,
  cases: [
    { name: 'odd sizes', sizes: { rows: 5, dim: 71, eps: 1e-12 } },
    { name: 'one row', sizes: { rows: 1, dim: 192, eps: 1e-12 } },
    { name: 'one column', sizes: { rows: 3, dim: 1, eps: 1e-12 } },
    { name: 'the 7B width', sizes: { rows: 3, dim: 3584, eps: 1e-12 } },
    { name: 'large values', sizes: { rows: 2, dim: 1280, eps: 1e-12 }, scale: 1e4 },
    { name: 'zeros', sizes: { rows: 2, dim: 64, eps: 1e-12 }, scale: 0 },
  ],
  tolerance: {
    abs: 0,
    rel: 2e-6,
    reason: 'a tree sum of dim squares and one sqrt: about 8 roundings of 2^-24 each',
  },
});
