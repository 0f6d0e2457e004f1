import { compileKernel } from '../compile.ts';
import type { Bindings, KernelCase, KernelDeclaration, ParamTypes } from '../declaration.ts';
import type { Gpu } from '../device.ts';
import type { Kernel } from '../kernel.ts';
import { Pass } from '../pass.ts';
import { freeTensors, readTensor, type Tensor } from '../tensor.ts';
import type { WeightDtype } from '../weightFormats.ts';
import { countUnwritten, hostInputs, referenceArrays, uploadInputs } from './caseInputs.ts';
import { type Comparison, compareArrays } from './compare.ts';

/** One line of the report: one output of one case, and how far it is from the reference. */
export interface CheckRow extends Comparison {
  readonly case: string;
  readonly output: string;
  /** `worstIndex` as coordinates of the declared shape, e.g. `[3, 17]`. */
  readonly worstAt: string;
  /** `ok`, or what is wrong, in words. */
  readonly verdict: string;
}

/** For an output that can't be compared. */
const NOT_COMPARED = {
  maxAbs: Number.NaN,
  maxRel: Number.NaN,
  worstIndex: 0,
  worstAt: '',
  expected: Number.NaN,
  actual: Number.NaN,
  overTolerance: 0,
  bound: 0,
  ok: false,
};

/**
 * Runs a kernel's cases on the GPU and compares every output with the float64 reference on the CPU. Outputs are filled with a
 * NaN before the run, so that a value which the kernel did not write is found. A declaration without cases is only compiled,
 * one without a reference only run; the report says what is missing.
 *
 * @returns a row for each case and output: `ok` tells whether it passed, `verdict` why not
 * @throws KernelError if the kernel can't be compiled; ShapeError if a case does not fit the contract; GpuError
 */
export async function checkKernel<B extends Bindings, P extends ParamTypes>(
  gpu: Gpu,
  kernel: Kernel<B, P>,
): Promise<CheckRow[]> {
  const rows: CheckRow[] = [];
  for await (const row of checkRows(gpu, kernel)) rows.push(row);
  return rows;
}

/** The rows of `checkKernel`, each as soon as its case has run: who has seen enough may stop. */
export async function* checkRows<B extends Bindings, P extends ParamTypes>(
  gpu: Gpu,
  kernel: Kernel<B, P>,
): AsyncGenerator<CheckRow> {
  const declaration = kernel.declaration as unknown as KernelDeclaration;
  const { cases = [] }: Partial<KernelDeclaration> = declaration;
  if (cases.length === 0) {
    await compileKernel(gpu, declaration, declaration.constants ?? {});
    const verdict = 'it compiles, but the declaration has no cases: nothing was run';
    yield { ...NOT_COMPARED, case: 'no cases', output: '', verdict };
    return;
  }
  const hasWeights = Object.values(declaration.bindings).some(({ access }) => access === 'weights');
  for (const kernelCase of cases) {
    const dtypes: WeightDtype[] =
      hasWeights && kernelCase.weightDtype === undefined
        ? ['f32', 'bf16', 'f16']
        : [kernelCase.weightDtype ?? 'f32'];
    for (const dtype of dtypes) {
      const label = hasWeights ? `${kernelCase.name}, ${dtype}` : kernelCase.name;
      yield* await runCase(gpu, kernel as unknown as Kernel, kernelCase, dtype, label);
    }
  }
}

async function runCase(
  gpu: Gpu,
  kernel: Kernel,
  kernelCase: KernelCase,
  dtype: WeightDtype,
  label: string,
): Promise<CheckRow[]> {
  const { declaration } = kernel;
  const { bindings, reference }: Partial<KernelDeclaration> = declaration;
  const inputs = hostInputs(declaration, kernelCase, dtype);
  const expected = reference?.(referenceArrays(inputs), kernelCase.sizes);
  const tensors = uploadInputs(gpu, declaration, inputs);

  const pass = new Pass(gpu, `check ${declaration.name}`);
  const rows: CheckRow[] = [];
  try {
    kernel(pass, tensors, kernelCase.sizes as Record<string, number>);
    await pass.submit();
    for (const [output, { access }] of Object.entries(bindings)) {
      if (access !== 'write' && access !== 'readWrite') continue;
      const report = await compareOutput(gpu, declaration, tensors[output], expected?.[output]);
      rows.push({ case: label, output, ...report });
    }
    for (const output of Object.keys(expected ?? {}).filter((name) => !(name in bindings))) {
      const verdict = `the reference returns ${output}, which is not a binding`;
      rows.push({ ...NOT_COMPARED, case: label, output, verdict });
    }
  } finally {
    await pass.destroy();
    await freeTensors(gpu, Object.values(tensors));
  }
  return rows;
}

async function compareOutput(
  gpu: Gpu,
  { name, reference, tolerance }: Partial<KernelDeclaration>,
  tensor: Tensor,
  expected: Float64Array | undefined,
): Promise<Omit<CheckRow, 'case' | 'output'>> {
  const actual = await readTensor(gpu, tensor);
  const unwritten = countUnwritten(actual);
  const total = `of ${actual.length} values`;
  const written = unwritten === 0 ? '' : `${unwritten} ${total} not written`;
  if (expected === undefined) {
    const missing = reference ? `the reference returns no ${tensor.name}` : `${name} has no reference`;
    return { ...NOT_COMPARED, verdict: `${missing}: nothing to compare with${written && `; ${written}`}` };
  }
  const comparison = compareArrays(actual, expected, tolerance ?? { abs: 0, rel: 0 });
  const { overTolerance, worstIndex, bound } = comparison;
  const problems = [written];
  if (expected.length !== actual.length) {
    problems.push(`the reference returns ${expected.length} values, the output has ${actual.length}`);
  } else if (overTolerance > unwritten) {
    problems.push(`${overTolerance - unwritten} ${total} further off than ${bound.toPrecision(3)}`);
  }
  return {
    ...comparison,
    worstAt: `[${coordinates(worstIndex, tensor.shape).join(', ')}]`,
    verdict: problems.filter(Boolean).join('; ') || 'ok',
  };
}

/** The coordinates of a flat index in a row-major array, e.g. [3, 2] for 17 in [4, 5]. */
function coordinates(index: number, shape: readonly number[]): number[] {
  const place: number[] = [];
  for (const size of shape.toReversed()) {
    place.unshift(index % size);
    index = Math.floor(index / size);
  }
  return place;
}
