import { read, readWrite } from '../../../gpu/declaration.ts';
import { defineKernel } from '../../../gpu/kernel.ts';
import { assertMultipleOf, assertSizeAtMost } from '../../../gpu/kernelLimits.ts';
import type { Symbols } from '../../../gpu/shapes.ts';
import { weightedRows } from '../../shared/helpers.ts';
import { MAX_GROUPS } from './attentionScores.ts';
import { visionValuesReference } from './reference/visionValues.ts';
import { segmentsCase, segmentsCases, visionHalfFlops } from './visionScores.ts';

const unreadScores = segmentsCase('scores that are not read are NaN', [3, 6, 1, 8, 3], {
  numHeads: 2,
  headDim: 16,
});

/**
 * Full attention within segments, second half: softmax and weighted values of the scores of `visionScores`.
 *
 * `scores` [numHeads, ceil(queries / 4), patches, 4] f32; `qkv` [patches, qkvDim] f32, with qkvDim = 3 · numHeads · headDim,
 * headDim a multiple of 8; `segments` [patches, 2] u32, `firstPatch` and `queries` as in `visionScores`.
 * In place on `out` [patches, numHeads · headDim] f32: the rows of the asking patches.
 *
 * @throws KernelError KERNEL_LIMIT when headDim is not a multiple of 8, or there are more than 65,535 workgroups
 * Follows: qwen2_5_vit.py, Qwen2_5_VLVisionSdpaAttention
 */
export const visionValues = defineKernel({
  name: 'visionValues',
  code: new URL('./visionValues.wgsl', import.meta.url),
  helpers: [weightedRows],
  bindings: {
    scores: read('f32', ['numHeads', ({ queries }) => Math.ceil(queries / 4), 'patches', 4]),
    qkv: read('f32', ['patches', 'qkvDim']),
    segments: read('u32', ['patches', 2]),
    out: readWrite('f32', ['patches', ({ qkvDim }) => qkvDim / 3]),
  },
  params: { numHeads: 'u32', firstPatch: 'u32', queries: 'u32' },
  constants: { WORKGROUP_SIZE: 16 },
  dispatch: ({ queries, qkvDim, numHeads }, { WORKGROUP_SIZE }) => {
    const headDim = qkvDim / 3 / numHeads;
    assertMultipleOf('visionValues', 'headDim', headDim, 8);
    const groups = Math.ceil((Math.ceil(queries / 4) * headDim) / 8 / WORKGROUP_SIZE);
    assertSizeAtMost('visionValues', 'workgroups', groups, MAX_GROUPS, 'give fewer patches in one call');
    return [groups, numHeads];
  },
  reference: visionValuesReference,
  flops: visionHalfFlops,
  cases: [
    ...segmentsCases(),
    { ...segmentsCase('large scores', [12, 4], { numHeads: 2, headDim: 16 }), scale: 10 },
    { ...unreadScores, inputs: (sizes) => ({ ...unreadScores.inputs(), scores: scoresWithNaN(sizes) }) },
  ],
  tolerance: {
    abs: 0,
    rel: 5e-6,
    reason:
      'exp(x) may be 3 + 2 · |x| ulp off: about 5 ulp, 6e-7, where the weight is large, and as much for each of the ln(keys) or so shrinkings',
  },
});

/** Scores of about [-3, 3], NaN outside the segment of a patch and in patches past the edge. */
function scoresWithNaN({ patches, numHeads }: Symbols): Float32Array {
  const { segments } = unreadScores.inputs();
  const blocks = Math.ceil(patches / 4);
  return Float32Array.from({ length: numHeads * blocks * patches * 4 }, (_, index) => {
    const key = Math.floor(index / 4) % patches;
    const patch = 4 * (Math.floor(index / 4 / patches) % blocks) + (index % 4);
    const isRead = patch < patches && key >= segments[2 * patch] && key < segments[2 * patch + 1];
    return isRead ? 3 * Math.sin(index) : Number.NaN;
  });
}
