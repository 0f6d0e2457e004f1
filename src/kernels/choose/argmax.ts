import { read, write } from '../../gpu/declaration.ts';
import { defineKernel } from '../../gpu/kernel.ts';
import { finite, flatGroup } from '../shared/helpers.ts';
import { argmaxReference, NO_TOKEN } from './reference/argmax.ts';

export { NO_TOKEN };

/**
 * The id of the largest logit of each row, and the lowest id among equal ones. `NO_TOKEN` if a logit of the row is NaN or +Infinity, or
 * none is finite.
 *
 * `logits` [rows, vocab] f32 → [rows] u32.
 * Follows: torch.argmax, as transformers' greedy search uses it
 */
export const argmax = defineKernel({
  name: 'argmax',
  code: new URL('./argmax.wgsl', import.meta.url),
  helpers: [flatGroup, finite],
  bindings: { logits: read('f32', ['rows', 'vocab']), out: write('u32', ['rows']) },
  constants: { WORKGROUP_SIZE: 256 },
  dispatch: ({ rows }) => [rows],
  reference: argmaxReference,
  cases: [
    { name: 'odd sizes', sizes: { rows: 3, vocab: 997 } },
    { name: 'one logit', sizes: { rows: 1, vocab: 1 } },
    { name: 'the 7B vocabulary', sizes: { rows: 1, vocab: 152_064 }, scale: 20 },
    { name: 'zeros: the lowest id of all', sizes: { rows: 2, vocab: 600 }, scale: 0 },
    argmaxCase('equal maxima in different threads', [1, 7, 0, 7, 7]),
    argmaxCase('negative only', [-3, -2, -2.5]),
    argmaxCase('a ban is passed over', [-Infinity, -1, 5, -Infinity]),
    argmaxCase('NaN', [1, Number.NaN, 3]),
    argmaxCase('+Infinity', [1, 2, Infinity, 3]),
    argmaxCase('no finite logit', [-Infinity, -Infinity]),
  ],
  tolerance: { abs: 0, rel: 0, reason: 'an index: exact' },
});

function argmaxCase(name: string, logits: readonly number[]) {
  return {
    name,
    sizes: { rows: 1, vocab: logits.length },
    inputs: () => ({ logits: Float32Array.from(logits) }),
  };
}
