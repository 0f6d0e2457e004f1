import { read, write } from '../../../gpu/declaration.ts';
import { defineKernel } from '../../../gpu/kernel.ts';
import type { Symbols } from '../../../gpu/shapes.ts';
import { mergeSplitsReference } from './reference/mergeSplits.ts';

/**
 * Attention over all keys from that over splits of them.
 *
 * `partials` [splits, heads, headDim + 4] f32 of `attendTokenSplits`, with the same `start` [1] u32 and `splitKeys` → [1, heads · headDim] f32.
 *
 * Follows: modeling_qwen2_5.py, Qwen2Attention
 */
export const mergeSplits = defineKernel({
  name: 'mergeSplits',
  code: new URL('./mergeSplits.wgsl', import.meta.url),
  bindings: {
    partials: read('f32', ['splits', 'heads', ({ headDim }) => headDim + 4]),
    start: read('u32', [1]),
    out: write('f32', [1, ({ heads, headDim }) => heads * headDim]),
  },
  params: { headDim: 'u32', splitKeys: 'u32' },
  constants: { WORKGROUP_SIZE: 64 },
  dispatch: ({ heads, headDim }, { WORKGROUP_SIZE }) => [Math.ceil((heads * headDim) / 4 / WORKGROUP_SIZE)],
  reference: mergeSplitsReference,
  cases: [
    mergeCase('one of three splits in use', { splits: 3, heads: 3, headDim: 32, splitKeys: 100 }, 99),
    mergeCase('first key of the second split', { splits: 3, heads: 3, headDim: 32, splitKeys: 100 }, 100),
    mergeCase(
      'all splits, the last one shorter',
      { splits: 4, heads: 14, headDim: 64, splitKeys: 256 },
      1020,
    ),
    mergeCase('the 7B heads', { splits: 16, heads: 28, headDim: 128, splitKeys: 256 }, 4000),
    mergeCase('sums too large for exp', { splits: 5, heads: 2, headDim: 8, splitKeys: 4 }, 15, 200),
    mergeCase('zeros', { splits: 2, heads: 1, headDim: 8, splitKeys: 5 }, 9, 0),
  ],
  tolerance: {
    abs: 0,
    rel: 2e-5,
    reason: 'exp turns the absolute error of a sum of up to 100, 2^-24 times its size, into a relative one',
  },
});

function mergeCase(name: string, sizes: Record<string, number>, start: number, scale = 3) {
  const inputs = () => ({ start: Uint32Array.of(start), partials: partialsOf(sizes, start, scale) });
  return { name, sizes, inputs };
}

/** Values and sums within `scale`; NaN where a split holds no key: it must not be read. */
function partialsOf(
  { splits, heads, headDim, splitKeys }: Symbols,
  start: number,
  scale: number,
): Float32Array {
  const usedSplits = Math.floor(start / splitKeys) + 1;
  const used = usedSplits * heads * (headDim + 4);
  return Float32Array.from({ length: splits * heads * (headDim + 4) }, (_, index) =>
    index < used ? scale * Math.sin(index) : Number.NaN,
  );
}
