import { read, weights, write } from '../../gpu/declaration.ts';
import { defineKernel } from '../../gpu/kernel.ts';
import { flatGroup, readWeight } from '../shared/helpers.ts';
import { embedReference } from './reference/embed.ts';

/**
 * Looks up the embedding of every token; ids past the vocabulary are clipped to its last row.
 *
 * `ids` [tokens] u32, `table` [vocab, dim] → [tokens, dim] f32.
 * Follows: modeling_qwen2_5.py, prompt_wrap_vision
 */
export const embed = defineKernel({
  name: 'embed',
  code: new URL('./embed.wgsl', import.meta.url),
  helpers: [flatGroup, readWeight],
  bindings: {
    ids: read('u32', ['tokens']),
    table: weights(['vocab', 'dim']),
    out: write('f32', ['tokens', 'dim']),
  },
  constants: { WORKGROUP_SIZE: 64 },
  dispatch: ({ tokens, dim }, { WORKGROUP_SIZE }) => [Math.ceil((tokens * dim) / WORKGROUP_SIZE)],
  reference: embedReference,
  touches: ({ tokens, vocab }) => ({ table: Math.min(1, tokens / vocab) }),
  cases: [
    {
      name: 'odd sizes, an id past the vocabulary',
      sizes: { tokens: 4, vocab: 7, dim: 5 },
      inputs: () => ({ ids: Uint32Array.of(6, 0, 3, 99) }),
    },
    {
      name: 'one token, one column',
      sizes: { tokens: 1, vocab: 3, dim: 1 },
      inputs: () => ({ ids: Uint32Array.of(2) }),
      weightDtype: 'bf16',
    },
    {
      name: 'the 7B width',
      sizes: { tokens: 3, vocab: 11, dim: 3584 },
      inputs: () => ({ ids: Uint32Array.of(10, 1, 5) }),
      weightDtype: 'bf16',
    },
    {
      name: 'large values',
      sizes: { tokens: 2, vocab: 4, dim: 9 },
      scale: 1e4,
      inputs: () => ({ ids: Uint32Array.of(3, 3) }),
      weightDtype: 'bf16',
    },
    {
      name: 'zeros',
      sizes: { tokens: 2, vocab: 4, dim: 9 },
      scale: 0,
      inputs: () => ({ ids: Uint32Array.of(1, 2) }),
      weightDtype: 'bf16',
    },
  ],
  tolerance: { abs: 0, rel: 0, reason: 'a copy: exact' },
});
