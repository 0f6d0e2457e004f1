/** A rough estimate of a step's work, from its sizes alone. */
import type { PreparedStep } from './encode.ts';

const FLOPS_PER_BYTE = 16; // operations in the time that reading a byte takes: close enough on CPU and GPU
const DISPATCH = 20_000; // bytes read in the time that starting a dispatch takes
const NO_INPUTS = new Proxy<Record<string, number[]>>({}, { get: () => [] }); // attention's flops depend on values: NaN

/** A step's work in bytes: what it binds, plus its operations converted to bytes. */
export function stepWork(step: PreparedStep): number {
  if (step.kind === 'copy') return step.bytes;
  const { declaration, sizes, buffers } = step.call;
  const flops = declaration.flops?.(sizes, NO_INPUTS) || 0;
  return DISPATCH + buffers.reduce((sum, { size }) => sum + size, flops / FLOPS_PER_BYTE);
}
