/** Tuning: checks variants of each kernel and times them to find the fastest one for each shape class of a model. */
import { KernelError } from '../../../errors.ts';
import type { Constants, KernelCase } from '../../../gpu/declaration.ts';
import type { Gpu } from '../../../gpu/device.ts';
import type { Kernel } from '../../../gpu/kernel.ts';
import { hostInputs, uploadInputs } from '../../../gpu/measure/caseInputs.ts';
import { checkKernel } from '../../../gpu/measure/checkKernel.ts';
import { type RecordCall, type TimedCalls, timeCalls } from '../../../gpu/measure/timeCalls.ts';
import { freeTensors } from '../../../gpu/tensor.ts';
import { kernels as standardKernels } from '../../../kernels/kernelSet.ts';
import {
  adapterVariant,
  TUNED_KERNELS,
  type TunedKernel,
  type Tuning,
  type Variant,
  variantForms,
} from '../variants.ts';
import type { TunedCall } from './tunedCalls.ts';

export interface TuneOptions {
  /** Default: `tuningCandidates`. The adapter's default variant always takes part. */
  readonly candidates?: { readonly [K in TunedKernel]?: readonly Variant[] };
  /** Times the candidates in turns; default `timeCalls`. */
  readonly time?: (
    gpu: Gpu,
    calls: readonly RecordCall[],
  ) => Promise<readonly Pick<TimedCalls, 'usPerCall'>[]>;
  /** Called before each check and each timing. If it throws, the tuning ends with that error. */
  readonly onProgress?: (doing: string) => void;
}

/** The result for one shape class. */
export interface TuneRow {
  readonly kernel: TunedKernel;
  readonly shapeClass: string;
  /** The call that was timed for the class, e.g. `down`. */
  readonly case: string;
  /** The first one is the adapter's default. */
  readonly candidates: readonly TuneCandidate[];
  /** null if no candidate passed its check. */
  readonly chosen: Variant | null;
  /** Speed relative to the default: 1 if the default was chosen, null if it failed its check. */
  readonly gain: number | null;
}

export interface TuneCandidate {
  readonly variant: Variant;
  /** Microseconds; null if it failed its check. */
  readonly usPerCall: number | null;
  /** `ok`, or what is wrong. */
  readonly verdict: string;
}

const MIN_GAIN = 0.08; // share of the default's time; less may be noise

/** The variants of a kernel that are worth trying on an adapter, its default included. */
export function tuningCandidates({ device, info, isSoftware }: Gpu, tuned: TunedKernel): Variant[] {
  const sizes = (kernel: Variant['kernel'], workgroupSizes: readonly number[]): Variant[] =>
    workgroupSizes.map((WORKGROUP_SIZE) => ({ kernel, constants: { WORKGROUP_SIZE } }));
  if (tuned === 'attentionScores' || tuned === 'attentionValues') return sizes(tuned, [8, 16, 32, 64]);
  if (tuned === 'attendToken') return sizes(tuned, isSoftware ? [4, 8, 16, 32] : [32, 64, 128, 256]);
  if (tuned === 'matmulPanels') {
    const threads = (kernel: Variant['kernel'], ...sizes: readonly [number, number][]): Variant[] =>
      sizes.map(([WORKGROUP_M, WORKGROUP_N]) => ({ kernel, constants: { WORKGROUP_M, WORKGROUP_N } }));
    return [
      ...threads('matmulPanels', [8, 8], [4, 8], [16, 4]),
      ...(device.features.has('subgroups') ? threads('matmulPanelsQuad', [2, 8], [4, 8], [1, 16]) : []),
      { kernel: 'matmulPanelsTiled', constants: {} },
    ];
  }
  const alone = sizes('gemvPanels', [16, 32, 64, 128]);
  const { subgroupMinSize, subgroupMaxSize } = info;
  const hasOneSize = device.features.has('subgroups') && subgroupMinSize === subgroupMaxSize;
  if (!hasOneSize || isSoftware) return alone; // on a software adapter each thread reads for itself: sharing gains nothing
  const shared = [32, 64, 128].filter((size) => size >= subgroupMaxSize);
  return [...alone, ...sizes('gemvPanelsSubgroup', shared)];
}

/**
 * Finds the fastest variants for a model's calls. Candidates are checked first; those that pass are timed in turns. Another
 * variant is chosen over the default only if it takes at least 8 % less time.
 *
 * @param calls e.g. those of `tunedCalls`
 * @returns the choice for each shape class of `calls`, and the measurements behind it
 * @throws GpuError, and whatever `onProgress` throws; a candidate that is wrong or does not compile is only reported
 */
export async function tune(
  gpu: Gpu,
  calls: readonly TunedCall[],
  { candidates = {}, time = timeCalls, onProgress = () => {} }: TuneOptions = {},
): Promise<{ tuning: Tuning; rows: TuneRow[] }> {
  const tuning: Record<string, Record<string, Variant>> = {};
  const rows: TuneRow[] = [];
  for (const tuned of TUNED_KERNELS) {
    const timedCalls = largestOfClass(calls.filter(({ kernel }) => kernel === tuned));
    if (timedCalls.length === 0) continue;
    const standards = timedCalls.map(({ kernelCase }) => defaultVariant(gpu, tuned, kernelCase.sizes.rows));
    const contenders: Contender[] = [];
    for (const variant of [...standards, ...(candidates[tuned] ?? tuningCandidates(gpu, tuned))]) {
      if (contenders.some((known) => isSame(known.variant, variant))) continue;
      onProgress(`checking ${variantName(variant)}`);
      const [kernel, ...otherForms] = variantForms(tuned, variant).map(({ form }) => form);
      contenders.push({ variant, kernel, otherForms, verdict: await verdictOf(gpu, kernel) });
    }
    for (const [i, call] of timedCalls.entries()) {
      onProgress(`timing ${tuned}: ${call.shapeClass}`);
      const isStandard = ({ variant }: Contender) => isSame(variant, standards[i]);
      const standardFirst = contenders.toSorted((a, b) => Number(isStandard(b)) - Number(isStandard(a)));
      const times = await timeContenders(gpu, standardFirst, call.kernelCase, time);
      const row = await choose(gpu, call, standardFirst, times);
      rows.push(row);
      if (row.chosen) tuning[tuned] = { ...tuning[tuned], [call.shapeClass]: row.chosen };
    }
  }
  return { tuning, rows };
}

/** @returns e.g. `gemvPanels WORKGROUP_SIZE=32` */
export function variantName({ kernel, constants }: Variant): string {
  return [kernel, ...Object.entries(constants).map(([name, value]) => `${name}=${value}`)].join(' ');
}

export function isSame(a: Variant, b: Variant): boolean {
  return variantName(a) === variantName(b);
}

interface Contender {
  readonly variant: Variant;
  readonly kernel: Kernel;
  /** The kernels for other endings, not checked yet: they take long to compile, and few candidates are ever chosen. */
  otherForms: readonly Kernel[];
  verdict: string;
}

function largestOfClass(calls: readonly TunedCall[]): TunedCall[] {
  const largest = new Map<string, TunedCall>();
  for (const call of calls) {
    const known = largest.get(call.shapeClass);
    if (!known || call.multiplyAdds > known.multiplyAdds) largest.set(call.shapeClass, call);
  }
  return [...largest.values()];
}

/** The candidate that the adapter runs without a tuning. @param rows of the call */
export function defaultVariant(gpu: Gpu, tuned: TunedKernel, rows = 1): Variant {
  const { kernel: name, constants } = adapterVariant(gpu, tuned, rows);
  const values: Constants = { ...standardKernels[name].declaration.constants, ...constants };
  return tuningCandidates(gpu, tuned).find(
    ({ kernel, constants: own }) =>
      kernel === name && Object.keys(own).every((key) => own[key] === values[key]),
  ) as Variant;
}

async function verdictOf(gpu: Gpu, kernel: Kernel): Promise<string> {
  try {
    const wrong = (await checkKernel(gpu, kernel)).find(({ ok }) => !ok);
    return wrong ? `${kernel.declaration.name}: ${wrong.case}, ${wrong.output}: ${wrong.verdict}` : 'ok';
  } catch (error) {
    if (error instanceof KernelError) return error.message;
    throw error;
  }
}

/** @returns microseconds of each contender; null if it failed its check */
async function timeContenders(
  gpu: Gpu,
  contenders: readonly Contender[],
  kernelCase: KernelCase,
  time: NonNullable<TuneOptions['time']>,
): Promise<(number | null)[]> {
  const right = contenders.filter(({ verdict }) => verdict === 'ok');
  if (right.length === 0) return contenders.map(() => null);
  const { declaration } = right[0].kernel; // all have the same contract
  const inputs = hostInputs(declaration, kernelCase, kernelCase.weightDtype ?? 'f32');
  const tensors = uploadInputs(gpu, declaration, inputs);
  try {
    const records = right.map(
      ({ kernel }): RecordCall =>
        (pass) =>
          void kernel(pass, tensors, kernelCase.sizes as Record<string, number>),
    );
    const timed = await time(gpu, records);
    return contenders.map((contender) => timed[right.indexOf(contender)]?.usPerCall ?? null);
  } finally {
    await freeTensors(gpu, Object.values(tensors));
  }
}

async function choose(
  gpu: Gpu,
  { kernel: tuned, shapeClass, kernelCase }: TunedCall,
  contenders: readonly Contender[],
  times: readonly (number | null)[],
): Promise<TuneRow> {
  const [standard] = contenders;
  const standardUs = times[0] ?? Number.POSITIVE_INFINITY;
  const timeOf = (contender: Contender) => times[contenders.indexOf(contender)] ?? Number.POSITIVE_INFINITY;
  let chosen = times[0] === null ? null : standard;
  for (const contender of contenders.toSorted((a, b) => timeOf(a) - timeOf(b))) {
    if (contender.verdict !== 'ok' || timeOf(contender) > (1 - MIN_GAIN) * standardUs) break;
    for (const form of contender.otherForms) {
      if (contender.verdict === 'ok') contender.verdict = await verdictOf(gpu, form);
    }
    contender.otherForms = [];
    if (contender.verdict === 'ok') {
      chosen = contender;
      break;
    }
  }
  return {
    kernel: tuned,
    shapeClass,
    case: kernelCase.name,
    candidates: contenders.map(({ variant, verdict }, i) => ({ variant, usPerCall: times[i], verdict })),
    chosen: chosen?.variant ?? null,
    gain: chosen && times[0] !== null ? standardUs / timeOf(chosen) : null,
  };
}
