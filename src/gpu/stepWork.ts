/** How much work a step of a pass is, roughly: before it has run, and without a look at values. */
import type { PreparedStep } from './encode.ts';

const FLOPS_PER_BYTE = 16; // that take as long as the byte: near enough on CPU and GPU
const DISPATCH = 20_000; // bytes that could be read while a dispatch begins
const NO_INPUTS = new Proxy<Record<string, number[]>>({}, { get: () => [] }); // attention's flops follow from values: NaN

/** In bytes that could be read meanwhile: what the step binds, and what it computes. */
export function stepWork(step: PreparedStep): number {
  if (step.kind === 'copy') return step.bytes;
  const { declaration, sizes, buffers } = step.call;
  const flops = declaration.flops?.(sizes, NO_INPUTS) || 0;
  return DISPATCH + buffers.reduce((sum, { size }) => sum + size, flops / FLOPS_PER_BYTE);
}
