/** The inputs of a kernel's case, random or given: as arrays on the host and as tensors. */
import type { KernelCase, KernelDeclaration, ReferenceArrays } from '../declaration.ts';
import type { Gpu } from '../device.ts';
import { evaluate } from '../shapes.ts';
import { type Dtype, elementCount, type HostArray, type Tensor, upload } from '../tensor.ts';
import { packWeights, unpackWeights, type WeightDtype } from '../weightFormats.ts';

/** Fills outputs before a check: a NaN that no kernel computes, so that a value the kernel did not write is found. */
export const UNWRITTEN_BITS = 0x7fc0_5a5a;

export interface HostInput {
  /** As stored: 16-bit weights are the bits of bf16 or f16. */
  readonly values: HostArray;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
}

/**
 * Values for every binding of a case: the case's own inputs, `UNWRITTEN_BITS` for outputs, otherwise random numbers from
 * [-scale, scale). A case gets the same numbers each time.
 *
 * @throws ShapeError SHAPE_UNSOLVED if the case's sizes leave a shape open
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

/** The inputs for the CPU reference: weights unpacked, everything in float64. */
export function referenceArrays(inputs: Readonly<Record<string, HostInput>>): ReferenceArrays {
  return Object.fromEntries(
    Object.entries(inputs).map(([binding, { values, dtype }]) => [
      binding,
      dtype === 'bf16' || dtype === 'f16'
        ? unpackWeights(values as Uint16Array, dtype)
        : new Float64Array(values),
    ]),
  );
}

/** Uploads the inputs in the layouts that a kernel declares, and the filled outputs. */
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

/** The number of elements that still hold `UNWRITTEN_BITS` after a run. */
export function countUnwritten(values: Float32Array | Uint32Array | Int32Array): number {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return bits.reduce((count, word) => count + (word === UNWRITTEN_BITS ? 1 : 0), 0);
}

/**
 * Gives a case without inputs those of `donor`, repeated or cut to its own lengths. If a size has the name of an input, its
 * value fills that input instead.
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

/** Random numbers in [-1, 1), the same for the same name: mulberry32, seeded with an FNV-1a hash. */
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
