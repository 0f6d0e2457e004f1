import { read, readWrite } from '../../gpu/declaration.ts';
import { defineKernel } from '../../gpu/kernel.ts';
import { flatGroup } from '../shared/helpers.ts';
import { writeKvReference } from './reference/writeKv.ts';

/**
 * Copies the keys and values of new tokens into the cache, from cache index `start` on.
 *
 * `qkv` [tokens, qkvDim] f32 (query heads, key heads, value heads), `start` [1] u32,
 * `kCache`, `vCache` [kvHeads, context, headDim] f32, changed in place.
 */
export const writeKv = defineKernel({
  name: 'writeKv',
  code: new URL('./writeKv.wgsl', import.meta.url),
  helpers: [flatGroup],
  bindings: {
    qkv: read('f32', ['tokens', 'qkvDim']),
    start: read('u32', [1]),
    kCache: readWrite('f32', ['kvHeads', 'context', 'headDim']),
    vCache: readWrite('f32', ['kvHeads', 'context', 'headDim']),
  },
  constants: { WORKGROUP_SIZE: 64 },
  dispatch: ({ tokens, kvHeads, headDim }, { WORKGROUP_SIZE }) => [
    Math.ceil((tokens * kvHeads * headDim) / WORKGROUP_SIZE),
  ],
  reference: writeKvReference,
  touches: ({ tokens, context }) => ({ kCache: tokens / context, vCache: tokens / context }),
  cases: [
    writeKvCase('prefill', { tokens: 5, heads: 3, kvHeads: 1, headDim: 10, context: 7 }, 0),
    writeKvCase('one token, last place', { tokens: 1, heads: 4, kvHeads: 2, headDim: 16, context: 9 }, 8),
    writeKvCase('the 7B heads', { tokens: 2, heads: 28, kvHeads: 4, headDim: 128, context: 3 }, 1),
    writeKvCase('head of 1', { tokens: 2, heads: 1, kvHeads: 1, headDim: 1, context: 2 }, 0),
  ],
  tolerance: { abs: 0, rel: 0, reason: 'a copy: exact' },
});

function writeKvCase(name: string, { heads, ...shape }: Record<string, number>, start: number) {
  const qkvDim = (heads + 2 * shape.kvHeads) * shape.headDim;
  return { name, sizes: { ...shape, qkvDim }, inputs: () => ({ start: Uint32Array.of(start) }) };
}
