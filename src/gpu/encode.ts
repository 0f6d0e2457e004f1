/** The steps of a pass, and their encoding into WebGPU commands. */
import type { Constants, KernelDeclaration } from './declaration.ts';
import type { Gpu } from './device.ts';
import type { Symbols } from './shapes.ts';

/** One recorded dispatch of a kernel. */
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
  /** For a read-back: the number of runs since the last `read`. Each run has its own place in `to`. */
  readonly runs?: { count: number };
}

/** A call that is compiled and bound, ready to encode. */
export interface PreparedDispatch {
  readonly kind: 'dispatch';
  readonly call: Call;
  readonly pipeline: GPUComputePipeline;
  readonly bindGroup: GPUBindGroup;
  readonly groups: readonly number[];
}

export type PreparedStep = PreparedDispatch | Copy;

/**
 * Encodes steps into one command buffer.
 *
 * @param stamps receives two timestamps for each dispatch, its begin and its end, from query 0 on. Each dispatch then has its own
 *   compute pass, because WebGPU takes timestamps only where a pass begins or ends
 */
export function encodeSteps(
  gpu: Gpu,
  label: string,
  steps: readonly PreparedStep[],
  stamps?: GPUQuerySet,
): GPUCommandBuffer {
  const encoder = gpu.device.createCommandEncoder({ label });
  let compute: GPUComputePassEncoder | null = null; // shared by consecutive dispatches
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
