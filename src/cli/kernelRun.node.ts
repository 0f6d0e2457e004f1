/** Checks or times a kernel in this process, and prints the report. */
import { InputError, M2Error } from '../errors.ts';
import type { KernelCase, KernelDeclaration } from '../gpu/declaration.ts';
import { type Gpu, openGpu } from '../gpu/device.ts';
import type { Kernel } from '../gpu/kernel.ts';
import { benchKernel, typicalCase } from '../gpu/measure/benchKernel.ts';
import { checkKernel } from '../gpu/measure/checkKernel.ts';
import { measureAdapter } from '../gpu/measure/measureAdapter.ts';
import type { Experiment } from './kernelExperiment.node.ts';
import { changedKernel, namedKernel, quoteError } from './kernelSource.node.ts';
import { benchTable, checkTable } from './kernelText.ts';
import { UsageError } from './options.node.ts';

/**
 * Runs the experiment.
 *
 * @returns the exit code: 1 if a case is wrong, else 0
 * @throws UsageError, InputError INPUT_FILE; KernelError, after quoting the line that does not compile on stderr
 */
export async function runExperiment(experiment: Experiment): Promise<number> {
  const standard = await namedKernel(experiment.name);
  const kernel = await changedKernel(standard, experiment.file, experiment.constants);
  const gpu = await openGpu();
  try {
    if (experiment.action === 'check') return await check(gpu, kernel, experiment);
    return await bench(gpu, kernel, kernel === standard ? undefined : standard, experiment);
  } catch (error) {
    process.stderr.write(await quoteError(error, [kernel.declaration, standard.declaration]));
    if (error instanceof M2Error || error instanceof UsageError || !experiment.name.endsWith('js'))
      throw error;
    const { name, message } = error as Error; // thrown by code in the file, e.g. the reference
    throw new InputError('INPUT_FILE', `${experiment.name}: ${name}: ${message}`, { cause: error });
  } finally {
    gpu.destroy();
  }
}

async function check(gpu: Gpu, kernel: Kernel, { json }: Experiment): Promise<number> {
  const rows = await checkKernel(gpu, kernel);
  const { name } = kernel.declaration;
  const right = rows.filter(({ ok }) => ok).length;
  process.stdout.write(
    json
      ? `${JSON.stringify({ kernel: name, adapter: gpu.description, rows })}\n`
      : `${checkTable(rows)}\n${name}: ${right} of ${rows.length} correct, on ${gpu.description}\n`,
  );
  return right === rows.length ? 0 : 1;
}

async function bench(
  gpu: Gpu,
  kernel: Kernel,
  baseline: Kernel | undefined,
  { sizes, weightDtype, json }: Experiment,
): Promise<number> {
  const cases = Object.keys(sizes).length > 0 ? [caseOf(kernel.declaration, sizes)] : undefined;
  const rows = await benchKernel(gpu, kernel, { cases, weightDtype, baseline });
  const isTimed = rows.some(({ usPerCall }) => usPerCall !== null);
  const rates = isTimed ? await measureAdapter(gpu) : null;
  if (json) {
    process.stdout.write(`${JSON.stringify({ adapter: gpu.description, rates, rows })}\n`);
  } else {
    process.stdout.write(`${benchTable(rows)}\non ${gpu.description}\n`);
    if (rates) {
      const copy = `${rates.copyGbPerS.toPrecision(3)} GB/s in a plain copy`;
      const compute = `${rates.multiplyAddGflopPerS.toPrecision(3)} GFLOP/s in f32 multiply-adds`;
      process.stdout.write(`which reaches ${copy}, ${compute}\n`);
    }
  }
  return rows.every(({ verdict }) => verdict === 'ok') ? 0 : 1;
}

/** The default case with other sizes. @throws UsageError for an unknown size or an invalid value */
function caseOf(declaration: KernelDeclaration, sizes: Readonly<Record<string, number>>): KernelCase {
  const typical = typicalCase(declaration);
  const symbols = new Set(Object.values(declaration.bindings).flatMap(({ shape }) => shape));
  const inputs = Object.keys(typical?.inputs?.(typical.sizes) ?? {});
  const known = [...new Set([...Object.keys(typical?.sizes ?? {}), ...inputs])];
  for (const [name, size] of Object.entries(sizes)) {
    if (!known.includes(name)) {
      throw new UsageError(`--shape: there is no size ${name}, expected one of ${known.join(', ')}`);
    }
    if (symbols.has(name) && !(Number.isSafeInteger(size) && size >= 1)) {
      throw new UsageError(`--shape: ${name} is ${size}, expected a whole number of at least 1`);
    }
  }
  const name = Object.entries(sizes).map(([symbol, size]) => `${symbol} ${size}`);
  return { name: name.join(', '), sizes: { ...typical?.sizes, ...sizes } };
}
