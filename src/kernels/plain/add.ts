import { read, readWrite } from '../../gpu/declaration.ts';
import { defineKernel } from '../../gpu/kernel.ts';
import { flatGroup } from '../shared/helpers.ts';
import { addReference } from './reference/add.ts';

/** The residual connection: adds `delta` [rows, dim] f32 to `hidden` [rows, dim] f32, in place. */
export const add = defineKernel({
  name: 'add',
  code: new URL('./add.wgsl', import.meta.url),
  helpers: [flatGroup],
  bindings: { hidden: readWrite('f32', ['rows', 'dim']), delta: read('f32', ['rows', 'dim']) },
  constants: { WORKGROUP_SIZE: 64 },
  dispatch: ({ rows, dim }, { WORKGROUP_SIZE }) => [Math.ceil((rows * dim) / WORKGROUP_SIZE)],
  reference: addReference,
  cases: [
    { name: 'odd sizes', sizes: { rows: 3, dim: 71 } },
    { name: 'one row', sizes: { rows: 1, dim: 64 } },
    { name: 'one column', sizes: { rows: 7, dim: 1 } },
    { name: 'the 7B width', sizes: { rows: 3, dim: 3584 } },
    { name: 'large values', sizes: { rows: 2, dim: 33 }, scale: 1e4 },
    { name: 'zeros', sizes: { rows: 2, dim: 33 }, scale: 0 },
  ],
  tolerance: { abs: 0, rel: 1.2e-7, reason: 'one rounding: 2^-23 of the larger operand at most' },
});
