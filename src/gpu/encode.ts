/** What a pass is made of, and how it becomes commands. */
import type { Constants, KernelDeclaration } from './declaration.ts';
import type { Gpu } from './device.ts';
import type { Symbols } from './shapes.ts';

/** One dispatch of a kernel, as it is recorded. */
export interface Call {
  readonly kind: 'call';
  readonly declaration: KernelDeclaration;
  readonly constants: Constants;
  /** In the order of the declaration's bindings. */
  readonly buffers: readonly GPUBuffer[];
  readonly sizes: Symbols;
}

export interface Copy {
  readonly kind: 'copy';
  readonly from: GPUBuffer;
  readonly to: GPUBuffer;
  readonly bytes: number;
  /** Of a read-back: runs since the last `read`; each has a place of its own in `to`. */
  readonly runs?: { count: number };
}

/** A call that only has to be encoded. */
export interface PreparedDispatch {
  readonly kind: 'dispatch';
  readonly call: Call;
  readonly pipeline: GPUComputePipeline;
  readonly bindGroup: GPUBindGroup;
  readonly groups: readonly number[];
}

export type PreparedStep = PreparedDispatch | Copy;

/**
 * @param stamps gets the time of begin and end of each dispatch, two queries each from query 0 on; every dispatch then has a
 *   compute pass of its own, since a pass's borders are where WebGPU can tell the time
 */
export function encodeSteps(
  gpu: Gpu,
  label: string,
  steps: readonly PreparedStep[],
  stamps?: GPUQuerySet,
): GPUCommandBuffer {
  const encoder = gpu.device.createCommandEncoder({ label });
  let compute: GPUComputePassEncoder | null = null; // one for as many dispatches as stand in a row
  let query = 0;
  for (const step of steps) {
    if (step.kind === 'copy' || stamps) {
      compute?.end();
      compute = null;
    }
    if (step.kind === 'copy') {
      const offset = step.runs ? step.bytes * step.runs.count++ : 0;
      encoder.copyBufferToBuffer(step.from, 0, step.to, offset, step.bytes);
      continue;
    }
    const timestampWrites = stamps && {
      querySet: stamps,
      beginningOfPassWriteIndex: query++,
      endOfPassWriteIndex: query++,
    };
    compute ??= encoder.beginComputePass({ timestampWrites });
    compute.setPipeline(step.pipeline);
    compute.setBindGroup(0, step.bindGroup);
    compute.dispatchWorkgroups(step.groups[0], step.groups[1], step.groups[2]);
    gpu.counters.dispatches++;
  }
  compute?.end();
  return encoder.finish();
}
