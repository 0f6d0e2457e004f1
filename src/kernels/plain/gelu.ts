import { read, write } from '../../gpu/declaration.ts';
import { defineKernel } from '../../gpu/kernel.ts';
import { erf, flatGroup } from '../shared/helpers.ts';
import { geluReference } from './reference/gelu.ts';

/**
 * The exact GELU, x · Φ(x), of every element.
 *
 * `x` [rows, dim] f32 → [rows, dim] f32.
 * Follows: torch.nn.GELU (approximate 'none')
 */
export const gelu = defineKernel({
  name: 'gelu',
  code: new URL('./gelu.wgsl', import.meta.url),
  helpers: [flatGroup, erf],
  bindings: { x: read('f32', ['rows', 'dim']), out: write('f32', ['rows', 'dim']) },
  constants: { WORKGROUP_SIZE: 64 },
  dispatch: ({ rows, dim }, { WORKGROUP_SIZE }) => [Math.ceil((rows * dim) / WORKGROUP_SIZE)],
  reference: geluReference,
  cases: [
    { name: 'odd sizes', sizes: { rows: 3, dim: 71 }, scale: 2 },
    { name: 'one row', sizes: { rows: 1, dim: 64 } },
    { name: 'one column', sizes: { rows: 7, dim: 1 } },
    { name: 'the 7B merger', sizes: { rows: 2, dim: 5120 }, scale: 6 },
    { name: 'large values', sizes: { rows: 2, dim: 33 }, scale: 1e4 },
    { name: 'zeros', sizes: { rows: 2, dim: 33 }, scale: 0 },
  ],
  tolerance: { abs: 0, rel: 3e-7, reason: 'erf is fitted to 1.3e-7, and 1 + erf is rounded once' },
});
