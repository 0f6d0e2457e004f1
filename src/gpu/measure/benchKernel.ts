import type { Bindings, KernelCase, KernelDeclaration, ParamTypes } from '../declaration.ts';
import type { Gpu } from '../device.ts';
import type { Kernel } from '../kernel.ts';
import type { Pass } from '../pass.ts';
import { evaluate, type Symbols } from '../shapes.ts';
import { type Dtype, freeTensors, sizeBytes, type Tensor } from '../tensor.ts';
import type { WeightDtype } from '../weightFormats.ts';
import { borrowInputs, hostInputs, uploadInputs } from './caseInputs.ts';
import { type CheckRow, checkKernel } from './checkKernel.ts';
import { type AdapterRates, measureAdapter } from './measureAdapter.ts';
import { type TimedCalls, type TimeOptions, timeCalls } from './timeCalls.ts';

export interface BenchOptions<B extends Bindings = Bindings, P extends ParamTypes = ParamTypes>
  extends TimeOptions {
  /**
   * What to time. Default: the declaration's case with the 7B's sizes, else its largest. A case without `inputs` takes the
   * default case's inputs (ids, segments), repeated or cut to its own lengths. If a size has the name of an input, e.g. `start`,
   * its value fills that input.
   */
  readonly cases?: readonly KernelCase[];
  /** Storage format of weights; default bf16. */
  readonly weightDtype?: WeightDtype;
  /** A kernel of the same contract to compare with; the two are timed in turns. */
  readonly baseline?: Kernel<B, P>;
}

/** One kernel at one size. For a kernel that fails its check, times and the values derived from them are null. */
export interface BenchRow {
  readonly kernel: string;
  readonly case: string;
  readonly sizes: Symbols;
  /** null if the kernel has no weights. */
  readonly weightDtype: WeightDtype | null;
  /** Bytes of all bindings, each counted once. */
  readonly bytes: number;
  /** Floating-point operations of a call; null if the declaration has no `flops`. */
  readonly flops: number | null;
  /** Median, in microseconds. */
  readonly usPerCall: number | null;
  readonly gbPerS: number | null;
  readonly gflopPerS: number | null;
  /** Speed relative to the baseline: 2 is twice as fast. null without a baseline. */
  readonly timesBaseline: number | null;
  /** `gbPerS` over the adapter's rate for a plain copy; above 1 e.g. if everything is in a cache. */
  readonly shareOfCopy: number | null;
  /** `gflopPerS` over the adapter's rate for multiply-adds in f32. */
  readonly shareOfMultiplyAdd: number | null;
  readonly callsPerRound: number | null;
  readonly clock: TimedCalls['clock'] | null;
  /** `ok`, or why the kernel was not timed. */
  readonly verdict: string;
}

/**
 * Checks a kernel with all its cases, then times it: the median of rounds of repeated calls, in turns with a baseline if one
 * is given. A kernel that fails its check is not timed, and its row says so.
 *
 * @returns for each case a row of the baseline, if there is one, then a row of the kernel
 * @throws KernelError if a kernel can't be compiled; ShapeError if a case's sizes don't fit the contract; GpuError
 */
export async function benchKernel<B extends Bindings, P extends ParamTypes>(
  gpu: Gpu,
  kernel: Kernel<B, P>,
  options: BenchOptions<B, P> = {},
): Promise<BenchRow[]> {
  const contenders: Contender[] = [];
  for (const contender of options.baseline ? [options.baseline, kernel] : [kernel]) {
    contenders.push({
      kernel: contender as unknown as Kernel,
      verdict: verdictOf(await checkKernel(gpu, contender)),
    });
  }
  const declaration = kernel.declaration as unknown as KernelDeclaration;
  const dtype = options.weightDtype ?? 'bf16';
  const typical = typicalCase(declaration, dtype);
  const isTimed = contenders.some(({ verdict }) => verdict === 'ok');
  const rates = isTimed ? await measureAdapter(gpu) : null;
  const rows: BenchRow[] = [];
  for (const kernelCase of options.cases ?? (typical ? [typical] : [])) {
    const whole = kernelCase.inputs ? kernelCase : borrowInputs(declaration, kernelCase, typical);
    rows.push(...(await benchCase(gpu, contenders, whole, { ...options, dtype, rates })));
  }
  return rows;
}

/**
 * Bytes of all bindings of a call, each counted once, with weights stored in `weightDtype`.
 *
 * @param inputs the values for the declaration's `touches`; without them every binding counts in full
 */
export function contractBytes(
  { name, bindings, touches }: KernelDeclaration,
  sizes: Symbols,
  weightDtype: WeightDtype,
  inputs: Readonly<Record<string, ArrayLike<number>>> | null = null,
): number {
  const shares = inputs ? touches?.(sizes, inputs) : undefined;
  return Object.entries(bindings).reduce((sum, [binding, { dtype: declared, shape }]) => {
    const dtype: Dtype = declared === 'weights' ? weightDtype : declared;
    return (
      sum + (shares?.[binding] ?? 1) * sizeBytes({ dtype, shape: evaluate(name, binding, shape, sizes) })
    );
  }, 0);
}

/** The case to time by default: the one with the 7B's sizes if there is one, else the largest by bytes. */
export function typicalCase(
  declaration: KernelDeclaration,
  weightDtype: WeightDtype = 'bf16',
): KernelCase | undefined {
  const bytes = ({ sizes }: KernelCase) => contractBytes(declaration, sizes, weightDtype);
  const bySize = declaration.cases.toSorted((a, b) => bytes(b) - bytes(a));
  return bySize.find(({ name }) => name.startsWith('the 7B')) ?? bySize[0];
}

interface Contender {
  readonly kernel: Kernel;
  readonly verdict: string;
}

function verdictOf(rows: readonly CheckRow[]): string {
  const wrong = rows.find(({ ok }) => !ok);
  return wrong ? `not timed: ${wrong.case}, ${wrong.output}: ${wrong.verdict}` : 'ok';
}

async function benchCase(
  gpu: Gpu,
  contenders: readonly Contender[],
  kernelCase: KernelCase,
  { dtype, rates, rounds, roundMs }: TimeOptions & { dtype: WeightDtype; rates: AdapterRates | null },
): Promise<BenchRow[]> {
  const { declaration } = contenders[0].kernel;
  const { sizes } = kernelCase;
  const inputs = hostInputs(declaration, kernelCase, dtype);
  const right = contenders.filter(({ verdict }) => verdict === 'ok');
  const uploaded: Tensor[] = [];
  let timed: TimedCalls[];
  try {
    const calls = right.map(({ kernel }) => {
      const tensors = uploadInputs(gpu, kernel.declaration, inputs); // for each kernel: layouts may differ
      uploaded.push(...Object.values(tensors));
      return (pass: Pass) => void kernel(pass, tensors, sizes as Record<string, number>);
    });
    timed = await timeCalls(gpu, calls, { rounds, roundMs });
  } finally {
    await freeTensors(gpu, uploaded);
  }
  const hasWeights = Object.values(declaration.bindings).some(({ access }) => access === 'weights');
  const values = Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, input.values]));
  const bytes = contractBytes(declaration, sizes, dtype, values);
  const baselineUs = contenders.length > 1 ? timed[right.indexOf(contenders[0])]?.usPerCall : undefined;
  return contenders.map((contender) => {
    const timing = timed[right.indexOf(contender)];
    const flops = contender.kernel.declaration.flops?.(sizes, values) ?? null;
    const perSecond = (amount: number | null, scale: number) =>
      timing && amount !== null ? amount / (timing.usPerCall * 1e-6) / scale : null;
    const gbPerS = perSecond(bytes, 1e9);
    const gflopPerS = perSecond(flops, 1e9);
    return {
      kernel: contender.kernel.declaration.name,
      case: kernelCase.name,
      sizes,
      weightDtype: hasWeights ? dtype : null,
      bytes,
      flops,
      usPerCall: timing?.usPerCall ?? null,
      gbPerS,
      gflopPerS,
      timesBaseline: timing && baselineUs ? baselineUs / timing.usPerCall : null,
      shareOfCopy: rates && gbPerS && gbPerS / rates.copyGbPerS,
      shareOfMultiplyAdd: rates && gflopPerS && gflopPerS / rates.multiplyAddGflopPerS,
      callsPerRound: timing?.calls ?? null,
      clock: timing?.clock ?? null,
      verdict: contender.verdict,
    };
  });
}
