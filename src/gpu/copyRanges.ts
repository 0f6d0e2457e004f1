/** Copies between tensors on the GPU, for the caches of beams and forked chats. */
import type { Gpu } from './device.ts';
import type { Tensor } from './tensor.ts';

/** A byte range of one tensor that is copied to the same place in another. */
export interface CopyRange {
  readonly from: Tensor;
  readonly to: Tensor;
  readonly byteOffset: number;
  readonly bytes: number;
}

/** Copies ranges on the GPU in one submit. Each tensor must be in one piece. */
export function copyRanges(gpu: Gpu, ranges: Iterable<CopyRange>): void {
  const encoder = gpu.device.createCommandEncoder();
  for (const { from, to, byteOffset, bytes } of ranges) {
    encoder.copyBufferToBuffer(from.pieces[0].buffer, byteOffset, to.pieces[0].buffer, byteOffset, bytes);
  }
  gpu.submit([encoder.finish()]);
}
