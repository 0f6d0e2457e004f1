/** The bytes and floating-point operations of a pass's calls, computed from the kernels' declarations. */
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
  /** Bytes that the call touches in all bindings, each counted once. */
  readonly bytes: number;
  /** The same for the bindings that it reads. */
  readonly bytesRead: number;
  /** null if the declaration has no `flops`, or they depend on values that aren't integers. */
  readonly flops: number | null;
}

/**
 * The cost of each call of one run, in order. Costs that depend on values, e.g. on the number of keys that attention reads,
 * follow from the current contents of the pass's inputs.
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

/** The share of a call that a piece of its weights accounts for, by rows. */
function partOfCall({ declaration: { name, bindings }, sizes }: Call): number {
  let part = 1;
  for (const [binding, { access, shape }] of Object.entries(bindings)) {
    if (access === 'weights') part *= sizes[`${binding}Rows`] / evaluate(name, binding, shape, sizes)[0];
  }
  return part;
}

const WEIGHT_DTYPES = Object.keys(WEIGHT_DTYPE_CODES) as WeightDtype[];

/** The bytes of a whole call, with each weight as it is stored. */
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

/** The integer inputs, e.g. segments and a start, for `flops` and `touches`. All other inputs are empty. */
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
