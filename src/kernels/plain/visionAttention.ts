import { read, write } from '../../gpu/declaration.ts';
import { defineKernel } from '../../gpu/kernel.ts';
import { assertSizeAtMost } from '../../gpu/kernelLimits.ts';
import { flatGroup } from '../shared/helpers.ts';
import { visionAttentionReference } from './reference/visionAttention.ts';

/**
 * Full attention within segments of any length: windows, or whole frames.
 *
 * `qkv` [patches, qkvDim] f32 after rotary, with qkvDim = 3 · numHeads · headDim, headDim even and at most 256;
 * `segments` [patches, 2] u32: first key and end of the keys of each patch → [patches, numHeads · headDim] f32.
 * Follows: qwen2_5_vit.py, Qwen2_5_VLVisionSdpaAttention
 */
export const visionAttention = defineKernel({
  name: 'visionAttention',
  code: new URL('./visionAttention.wgsl', import.meta.url),
  helpers: [flatGroup],
  bindings: {
    qkv: read('f32', ['patches', 'qkvDim']),
    segments: read('u32', ['patches', 2]),
    out: write('f32', ['patches', ({ qkvDim }) => qkvDim / 3]),
  },
  params: { numHeads: 'u32' },
  constants: { WORKGROUP_SIZE: 64 },
  dispatch: ({ patches, qkvDim, numHeads }, { WORKGROUP_SIZE, MAX_HEAD_DIM }) => {
    assertSizeAtMost('visionAttention', 'headDim', qkvDim / 3 / numHeads, MAX_HEAD_DIM);
    return [Math.ceil((patches * numHeads) / WORKGROUP_SIZE)];
  },
  reference: visionAttentionReference,
  flops: ({ patches, qkvDim }, { segments }) => {
    let keys = 0; // of all queries of one head
    for (let patch = 0; patch < patches; patch++) keys += segments[2 * patch + 1] - segments[2 * patch];
    return (4 * keys * qkvDim) / 3;
  },
  cases: [
    segmentsCase('windows of several sizes, heads of 24', [4, 64, 12, 1], { numHeads: 3, headDim: 24 }),
    segmentsCase('one window, heads of 16', [16], { numHeads: 4, headDim: 16 }),
    segmentsCase('a frame of 100 patches, heads of 40', [100], { numHeads: 2, headDim: 40 }),
    segmentsCase('heads of 32', [8, 8], { numHeads: 4, headDim: 32 }),
    segmentsCase('the 7B heads of 80', [64, 16], { numHeads: 16, headDim: 80 }),
    segmentsCase('smallest head', [4, 2], { numHeads: 1, headDim: 2 }),
    { ...segmentsCase('large scores', [12, 4], { numHeads: 2, headDim: 16 }), scale: 10 },
    { ...segmentsCase('zeros', [4], { numHeads: 2, headDim: 8 }), scale: 0 },
  ],
  tolerance: {
    abs: 0,
    rel: 2e-5,
    reason:
      'exp turns the absolute error of a score, 2^-24 times its size (up to 100 here) and a few roundings, into a relative one',
  },
});

function segmentsCase(
  name: string,
  lengths: readonly number[],
  { numHeads, headDim }: { numHeads: number; headDim: number },
) {
  const segments = lengths.flatMap((length, index) => {
    const begin = lengths.slice(0, index).reduce((a, b) => a + b, 0);
    return new Array(length).fill([begin, begin + length]).flat();
  });
  return {
    name,
    sizes: { patches: segments.length / 2, qkvDim: 3 * numHeads * headDim, numHeads },
    inputs: () => ({ segments: Uint32Array.from(segments) }),
  };
}
