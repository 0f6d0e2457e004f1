/** What the contracts say that the calls of a pass cost: bytes and floating-point operations. */

import type { Bindings } from '../declaration.ts';
import type { Gpu } from '../device.ts';
import { dtypeOverride } from '../dispatch.ts';
import type { Call, PreparedDispatch } from '../encode.ts';
import { type Pass, WEIGHT_DTYPE_CODES } from '../pass.ts';
import { evaluate } from '../shapes.ts';
import { readTensor } from '../tensor.ts';
import type { WeightDtype } from '../weightFormats.ts';
import { contractBytes } from './benchKernel.ts';

export interface CallCost {
  readonly kernel: string;
  /** Of all bindings, each counted once, as far as the call touches it. */
  readonly bytes: number;
  /** Of those that it reads. */
  readonly bytesRead: number;
  /** null: the declaration has no `flops`, or they follow from values that aren't integers. */
  readonly flops: number | null;
}

/**
 * The calls of one run, in order. What depends on values, e.g. how many keys attention reads, is that of the pass's inputs as
 * they are now.
 *
 * @throws KernelError, GpuError as `Pass.submit`
 */
export async function passCosts(pass: Pass): Promise<CallCost[]> {
  const costs: CallCost[] = [];
  const known = new Map<GPUBuffer, ArrayLike<number>>();
  const calls = (await pass.prepared()).filter((step): step is PreparedDispatch => step.kind === 'dispatch');
  for (const { call } of calls) {
    const { name, bindings, flops } = call.declaration;
    const part = partOfCall(call);
    const inputs = await integerInputs(pass.gpu, call, known);
    const read = Object.entries(bindings).filter(([, { access }]) => access !== 'write');
    const counted = flops ? flops(call.sizes, inputs) * part : Number.NaN;
    costs.push({
      kernel: name,
      bytes: part * callBytes(call, bindings, inputs),
      bytesRead: part * callBytes(call, Object.fromEntries(read), inputs),
      flops: Number.isFinite(counted) ? counted : null,
    });
  }
  return costs;
}

/** A piece of weights has as much of its call's bytes and operations as of its rows. */
function partOfCall({ declaration: { name, bindings }, sizes }: Call): number {
  let part = 1;
  for (const [binding, { access, shape }] of Object.entries(bindings)) {
    if (access === 'weights') part *= sizes[`${binding}Rows`] / evaluate(name, binding, shape, sizes)[0];
  }
  return part;
}

const WEIGHT_DTYPES = Object.keys(WEIGHT_DTYPE_CODES) as WeightDtype[];

/** Of the whole call; each binding's weights as they are stored. */
function callBytes(
  { declaration, constants, sizes }: Call,
  bindings: Bindings,
  inputs: Readonly<Record<string, ArrayLike<number>>>,
): number {
  return Object.entries(bindings).reduce((sum, [binding, declared]) => {
    const dtype = WEIGHT_DTYPES[constants[dtypeOverride(binding)] ?? 0];
    return sum + contractBytes({ ...declaration, bindings: { [binding]: declared } }, sizes, dtype, inputs);
  }, 0);
}

/** The inputs that `flops` and `touches` may ask for, such as segments and a start; of all others nothing. */
async function integerInputs(
  gpu: Gpu,
  { declaration: { name, bindings }, buffers, sizes }: Call,
  known: Map<GPUBuffer, ArrayLike<number>>,
): Promise<Record<string, ArrayLike<number>>> {
  const inputs: Record<string, ArrayLike<number>> = {};
  for (const [index, [binding, { access, dtype, shape: dims }]] of Object.entries(bindings).entries()) {
    inputs[binding] = [];
    if (access !== 'read' || dtype === 'f32' || dtype === 'weights') continue;
    const buffer = buffers[index];
    const shape = evaluate(name, binding, dims, sizes);
    const pieces = [{ buffer, firstRow: 0, rows: shape[0] }];
    const values =
      known.get(buffer) ?? (await readTensor(gpu, { name: binding, dtype, shape, layout: 'rows', pieces }));
    known.set(buffer, values);
    inputs[binding] = values;
  }
  return inputs;
}
