/** The inputs of a kernel's case: drawn or given values on the host, and the same as tensors. */
import type { KernelCase, KernelDeclaration, ReferenceArrays } from '../declaration.ts';
import type { Gpu } from '../device.ts';
import { evaluate } from '../shapes.ts';
import { type Dtype, elementCount, type HostArray, type Tensor, upload } from '../tensor.ts';
import { packWeights, unpackWeights, type WeightDtype } from '../weightFormats.ts';

/** What an output holds before a check runs: a NaN that no kernel computes, so that a value it forgot is found. */
export const UNWRITTEN_BITS = 0x7fc0_5a5a;

export interface HostInput {
  /** As stored: weights in 16 bits are words of bf16 or f16. */
  readonly values: HostArray;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
}

/**
 * Values of every binding of a case: what the case gives, numbers drawn from [-scale, scale), `UNWRITTEN_BITS` for outputs.
 * The same case gets the same numbers each time.
 *
 * @throws ShapeError SHAPE_UNSOLVED when the case's sizes leave a shape open
 */
export function hostInputs(
  { name, bindings }: KernelDeclaration,
  { name: caseName, sizes, scale = 1, inputs }: KernelCase,
  weightDtype: WeightDtype,
): Record<string, HostInput> {
  const given = inputs?.(sizes) ?? {};
  const random = randomValues(name + caseName);
  const draw = (count: number) => {
    const values = new Float32Array(count);
    for (let i = 0; i < count; i++) values[i] = random() * scale;
    return values;
  };
  const made: Record<string, HostInput> = {};
  for (const [binding, { access, dtype, shape: dims }] of Object.entries(bindings)) {
    const shape = evaluate(name, binding, dims, sizes);
    const count = elementCount(shape);
    if (dtype === 'weights') {
      const values = packWeights(given[binding] ?? draw(count), weightDtype);
      made[binding] = { values, dtype: weightDtype, shape };
    } else {
      const values = given[binding] ?? (access === 'write' ? unwritten(dtype, count) : draw(count));
      made[binding] = { values, dtype: values instanceof Float32Array ? 'f32' : dtype, shape };
    }
  }
  return made;
}

/** The inputs as the definition on the CPU sees them: weights unpacked, everything in float64. */
export function referenceArrays(inputs: Readonly<Record<string, HostInput>>): ReferenceArrays {
  return Object.fromEntries(
    Object.entries(inputs).map(([binding, { values, dtype }]) => [
      binding,
      dtype === 'bf16' || dtype === 'f16'
        ? unpackWeights(values as Uint16Array, dtype)
        : Float64Array.from(values),
    ]),
  );
}

/** Uploads the inputs in the layouts that a kernel declares; outputs too, so that it writes into what was filled before. */
export function uploadInputs(
  gpu: Gpu,
  { bindings }: KernelDeclaration,
  inputs: Readonly<Record<string, HostInput>>,
): Readonly<Record<string, Tensor>> {
  return Object.fromEntries(
    Object.entries(inputs).map(([binding, { values, dtype, shape }]) => [
      binding,
      upload(gpu, values, shape, binding, dtype, bindings[binding].layout),
    ]),
  );
}

/** How many elements of an array read back still hold what stood there before the run. */
export function countUnwritten(values: Float32Array | Uint32Array | Int32Array): number {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return bits.reduce((count, word) => count + (word === UNWRITTEN_BITS ? 1 : 0), 0);
}

/**
 * Gives a case without inputs those of `donor`, repeated or cut to the lengths of its own sizes. A size with the name of an
 * input fills that input instead.
 */
export function borrowInputs(
  { name, bindings }: KernelDeclaration,
  kernelCase: KernelCase,
  donor: KernelCase | undefined,
): KernelCase {
  const inputs: KernelCase['inputs'] = (sizes) => {
    const donated = Object.entries(donor?.inputs?.(sizes) ?? {});
    return Object.fromEntries(
      donated.map(([binding, values]) => {
        const count = elementCount(evaluate(name, binding, bindings[binding].shape, sizes));
        const fitted = new (values.constructor as Uint32ArrayConstructor)(count);
        for (let i = 0; i < count; i++) fitted[i] = sizes[binding] ?? values[i % values.length];
        return [binding, fitted];
      }),
    );
  };
  return { ...kernelCase, inputs };
}

function unwritten(dtype: 'f32' | 'u32' | 'i32', count: number): HostArray {
  const { buffer } = new Uint32Array(count).fill(UNWRITTEN_BITS);
  if (dtype === 'f32') return new Float32Array(buffer);
  return dtype === 'i32' ? new Int32Array(buffer) : new Uint32Array(buffer);
}

/** Numbers in [-1, 1), the same ones for the same name: mulberry32 over an FNV-1a hash. */
function randomValues(name: string): () => number {
  let state = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) state = Math.imul(state ^ name.charCodeAt(i), 0x01000193);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 31 - 1;
  };
}
