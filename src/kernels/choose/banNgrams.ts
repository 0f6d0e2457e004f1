import { type KernelCase, read, readWrite } from '../../gpu/declaration.ts';
import { defineKernel } from '../../gpu/kernel.ts';
import { banned, flatGroup } from '../shared/helpers.ts';
import { banNgramsReference } from './reference/banNgrams.ts';

/**
 * Bans every token that would repeat an n-gram of `history` [context] u32, of which the first `length` [1] u32 tokens count.
 * In place on `logits` [1, vocab] f32. An n-gram of one token bans all that have occurred.
 *
 * Follows: transformers 4.49, generation/logits_process.py, NoRepeatNGramLogitsProcessor
 */
export const banNgrams = defineKernel({
  name: 'banNgrams',
  code: new URL('./banNgrams.wgsl', import.meta.url),
  helpers: [flatGroup, banned],
  bindings: {
    logits: readWrite('f32', [1, 'vocab']),
    history: read('u32', ['context']),
    length: read('u32', [1]),
  },
  params: { ngramSize: 'u32' },
  constants: { WORKGROUP_SIZE: 64 },
  dispatch: ({ context }, { WORKGROUP_SIZE }) => [Math.ceil(context / WORKGROUP_SIZE)],
  reference: banNgramsReference,
  cases: [
    ngramCase('two of a kind', [3, 7, 5, 3, 9, 3], 2),
    ngramCase('three', [1, 2, 3, 4, 1, 2, 5, 1, 2], 3),
    ngramCase('every token that has occurred', [3, 7, 5, 3], 1),
    ngramCase('a text shorter than the n-gram', [3, 3], 4),
    ngramCase('a text of one token', [3], 2),
    ngramCase('the tail overlaps its window', [4, 4, 4, 4], 3),
    ngramCase('an id outside the vocabulary', [3, 40, 3], 2),
    ngramCase(
      'a long text',
      Array.from({ length: 3000 }, (_, i) => (i * i) % 31),
      3,
    ),
  ],
  tolerance: { abs: 0, rel: 0, reason: 'a choice of what to overwrite: exact' },
});

function ngramCase(name: string, text: readonly number[], ngramSize: number): KernelCase {
  return {
    name,
    sizes: { vocab: 32, context: text.length + 5, ngramSize },
    inputs: ({ context }) => {
      const history = new Uint32Array(context).fill(text[0]); // what stands behind the text must not count
      history.set(text);
      return { history, length: Uint32Array.of(text.length) };
    },
  };
}
