import { read, readWrite } from '../../../gpu/declaration.ts';
import { defineKernel } from '../../../gpu/kernel.ts';
import { assertMultipleOf, assertSizeAtMost } from '../../../gpu/kernelLimits.ts';
import type { Symbols } from '../../../gpu/shapes.ts';
import { products, scoreBlock } from '../../shared/helpers.ts';
import { MAX_GROUPS } from './attentionScores.ts';
import { visionScoresReference } from './reference/visionScores.ts';

/**
 * Full attention within segments, first half: the scores of queries and keys. `visionValues` is the second.
 *
 * `qkv` [patches, qkvDim] f32 after rotary, with qkvDim = 3 · numHeads · headDim, headDim a multiple of 4;
 * `segments` [patches, 2] u32: first key and end of the keys of each patch, neither ever smaller than that of the patch before.
 * In place on `scores` [numHeads, ceil(queries / 4), patches, 4] f32, of the patches firstPatch … firstPatch + queries - 1: patch
 * firstPatch + 4 · block + i stands at i. Blocks of four keys outside the segments of their patches are left alone.
 *
 * @throws KernelError KERNEL_LIMIT when headDim is not a multiple of 4, or there are more than 65,535 blocks of patches
 * Follows: qwen2_5_vit.py, Qwen2_5_VLVisionSdpaAttention
 */
export const visionScores = defineKernel({
  name: 'visionScores',
  code: new URL('./visionScores.wgsl', import.meta.url),
  helpers: [products, scoreBlock],
  bindings: {
    qkv: read('f32', ['patches', 'qkvDim']),
    segments: read('u32', ['patches', 2]),
    scores: readWrite('f32', ['numHeads', ({ queries }) => Math.ceil(queries / 4), 'patches', 4]),
  },
  params: { numHeads: 'u32', firstPatch: 'u32', queries: 'u32' },
  constants: { WORKGROUP_SIZE: 16 },
  dispatch: ({ patches, queries, qkvDim, numHeads }, { WORKGROUP_SIZE }) => {
    const blocks = Math.ceil(queries / 4);
    assertMultipleOf('visionScores', 'headDim', qkvDim / 3 / numHeads, 4);
    assertSizeAtMost(
      'visionScores',
      'blocks of patches',
      blocks,
      MAX_GROUPS,
      'give fewer patches in one call',
    );
    return [Math.ceil(patches / 4 / WORKGROUP_SIZE), blocks, numHeads];
  },
  reference: visionScoresReference,
  flops: visionHalfFlops,
  cases: [
    ...segmentsCases(),
    segmentsCase('smallest head', [4, 2], { numHeads: 1, headDim: 4 }),
    { ...segmentsCase('large scores', [12, 4], { numHeads: 2, headDim: 16 }), scale: 10 },
  ],
  tolerance: {
    abs: 0,
    rel: 2e-6,
    reason:
      'a sum of headDim products in f32, sqrt(headDim) · 2^-24 = 7e-7 for 128, times a root and a quotient of 7 ulp together, 9e-7',
  },
});

/** A product and a sum for each query, key and dimension. */
export function visionHalfFlops(
  { firstPatch, queries, qkvDim }: Symbols,
  { segments }: Readonly<Record<string, ArrayLike<number>>>,
): number {
  let keys = 0; // of all queries of one head
  for (let patch = firstPatch; patch < firstPatch + queries; patch++) {
    keys += segments[2 * patch + 1] - segments[2 * patch];
  }
  return (2 * keys * qkvDim) / 3;
}

/** Cases of both halves. */
export function segmentsCases() {
  return [
    segmentsCase('windows of several sizes, heads of 24', [4, 64, 12, 1], { numHeads: 3, headDim: 24 }),
    segmentsCase('windows that are no whole blocks', [3, 6, 1, 1, 7], { numHeads: 2, headDim: 16 }),
    segmentsCase('one window, heads of 16', [16], { numHeads: 4, headDim: 16 }),
    segmentsCase('a frame of 100 patches, heads of 40', [100], { numHeads: 2, headDim: 40 }),
    segmentsCase('heads of 32', [8, 8], { numHeads: 4, headDim: 32 }),
    segmentsCase('the 7B heads of 80', [64, 16], { numHeads: 16, headDim: 80 }),
    segmentsCase('some of the patches', [7, 9, 5], { numHeads: 2, headDim: 16, firstPatch: 6, queries: 11 }),
    segmentsCase('one patch', [1], { numHeads: 1, headDim: 8 }),
    { ...segmentsCase('zeros', [4], { numHeads: 2, headDim: 8 }), scale: 0 },
  ];
}

/** @param shape without `firstPatch` and `queries` all patches ask */
export function segmentsCase(
  name: string,
  lengths: readonly number[],
  { numHeads, headDim, ...asking }: Record<string, number>,
) {
  const segments = lengths.flatMap((length, index) => {
    const begin = lengths.slice(0, index).reduce((a, b) => a + b, 0);
    return new Array(length).fill([begin, begin + length]).flat();
  });
  const patches = segments.length / 2;
  return {
    name,
    sizes: { firstPatch: 0, queries: patches, ...asking, patches, qkvDim: 3 * numHeads * headDim, numHeads },
    inputs: () => ({ segments: Uint32Array.from(segments) }),
  };
}
