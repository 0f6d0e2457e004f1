import { type Comparison, compareArrays } from './compare.ts';
import type { Bindings, KernelCase, ParamTypes, ReferenceArrays } from './declaration.ts';
import type { Gpu } from './device.ts';
import type { Kernel } from './kernel.ts';
import { Pass } from './pass.ts';
import { evaluate, type Symbols } from './shapes.ts';
import { elementCount, freeTensors, type HostArray, readTensor, type Tensor, upload } from './tensor.ts';
import { packWeights, unpackWeights, type WeightDtype } from './weightFormats.ts';

/** One line of the report: a case, one of its outputs, how far it is from the definition. */
export interface CheckRow extends Comparison {
  readonly case: string;
  readonly output: string;
}

/**
 * Runs a kernel's cases on the GPU and compares every output with its float64 definition on the CPU. Outputs are filled with
 * NaN before the run, so that a value which the kernel forgot to write is found.
 *
 * @returns a row for each case and output; `ok` is the verdict
 * @throws KernelError when the kernel can't be compiled
 */
export async function checkKernel<B extends Bindings, P extends ParamTypes>(
  gpu: Gpu,
  kernel: Kernel<B, P>,
): Promise<CheckRow[]> {
  const rows: CheckRow[] = [];
  const hasWeights = Object.values(kernel.declaration.bindings).some(({ access }) => access === 'weights');
  for (const kernelCase of kernel.declaration.cases) {
    const dtypes: WeightDtype[] =
      hasWeights && kernelCase.weightDtype === undefined
        ? ['f32', 'bf16', 'f16']
        : [kernelCase.weightDtype ?? 'f32'];
    for (const dtype of dtypes) {
      rows.push(...(await runCase(gpu, kernel as unknown as Kernel, kernelCase, dtype, hasWeights)));
    }
  }
  return rows;
}

async function runCase(
  gpu: Gpu,
  kernel: Kernel,
  kernelCase: KernelCase,
  dtype: WeightDtype,
  hasWeights: boolean,
): Promise<CheckRow[]> {
  const { declaration } = kernel;
  const { arrays, tensors } = makeInputs(gpu, kernel, kernelCase, dtype);
  const expected = declaration.reference(arrays, kernelCase.sizes);

  const pass = new Pass(gpu, `check ${declaration.name}`);
  const rows: CheckRow[] = [];
  try {
    kernel(pass, tensors, kernelCase.sizes as Record<string, number>);
    await pass.submit();
    for (const [output, values] of Object.entries(expected)) {
      const actual = await readTensor(gpu, tensors[output]);
      const label = hasWeights ? `${kernelCase.name}, ${dtype}` : kernelCase.name;
      rows.push({ case: label, output, ...compareArrays(actual, values, declaration.tolerance) });
    }
  } finally {
    await pass.destroy();
    await freeTensors(gpu, Object.values(tensors));
  }
  return rows;
}

function makeInputs(
  gpu: Gpu,
  { declaration }: Kernel,
  kernelCase: KernelCase,
  dtype: WeightDtype,
): { arrays: ReferenceArrays; tensors: Record<string, Tensor> } {
  const { sizes, scale = 1 } = kernelCase;
  const given = kernelCase.inputs?.(sizes) ?? {};
  const random = randomValues(declaration.name + kernelCase.name);
  const arrays: Record<string, Float64Array> = {};
  const tensors: Record<string, Tensor> = {};
  for (const [binding, { access, dtype: declared, shape }] of Object.entries(declaration.bindings)) {
    const dims = evaluate(declaration.name, binding, shape, sizes as Symbols);
    const count = elementCount(dims);
    if (access === 'weights') {
      const packed = packWeights(
        given[binding] ?? Float32Array.from({ length: count }, () => random() * scale),
        dtype,
      );
      arrays[binding] = unpackWeights(packed, dtype);
      tensors[binding] = upload(gpu, packed, dims, binding, dtype);
      continue;
    }
    const values =
      given[binding] ??
      (access === 'write'
        ? notANumber(declared, count)
        : Float32Array.from({ length: count }, () => random() * scale));
    arrays[binding] = Float64Array.from(values);
    tensors[binding] = upload(gpu, values as HostArray, dims, binding);
  }
  return { arrays, tensors };
}

function notANumber(dtype: string, count: number): HostArray {
  if (dtype === 'f32') return new Float32Array(count).fill(Number.NaN);
  return new (dtype === 'i32' ? Int32Array : Uint32Array)(count).fill(0x7fc00000);
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
