/** Where a pass spends its time: every dispatch is timed with GPU timestamps and summed by kernel. */
import { GpuError } from '../../errors.ts';
import type { Gpu } from '../device.ts';
import { encodeSteps, type PreparedDispatch, type PreparedStep } from '../encode.ts';
import type { Pass } from '../pass.ts';
import { sleepThrough } from '../sleepThrough.ts';
import { passCosts } from './passCosts.ts';

/** All calls of one kernel in one run of the pass. */
export interface ProfileRow {
  readonly kernel: string;
  /** A call with weights in several pieces has one dispatch for each. */
  readonly dispatches: number;
  /** Microseconds, the mean over the repetitions. */
  readonly us: number;
  /** Share of the time of all kernels, 0 to 1; 0 if the clock measured none. */
  readonly share: number;
  /** Bytes that the calls touch in all bindings, each counted once per call. */
  readonly bytes: number;
  /** null if the declaration has no `flops`, or they depend on values that aren't integers. */
  readonly flops: number | null;
  /** null if the clock measured no time; so is `gflopPerS`. */
  readonly gbPerS: number | null;
  readonly gflopPerS: number | null;
}

export interface Profile {
  /** Most time first. */
  readonly rows: readonly ProfileRow[];
  readonly dispatches: number;
  /** Microseconds of one run: the sum of all rows. */
  readonly us: number;
  /** Microseconds of one run without timestamps, by the host's clock: many runs in a row, with one wait at the end. */
  readonly wallUs: number;
  readonly repetitions: number;
  /** Observed resolution of the GPU's clock: all differences of timestamps are multiples of it. */
  readonly resolutionUs: number;
}

export interface ProfileOptions {
  /** Number of runs; default: as many as fit in a second, at most 200. */
  readonly repetitions?: number;
  readonly signal?: AbortSignal;
}

const GROUP_STEPS = 64; // steps in one submit: far below a query set's 4096 queries, and too short for a driver's watchdog
const RUNS_PER_WAIT = 16; // as in generation: a wait costs 0.1 ms
const DEFAULT_MS = 1000;
const MAX_DEFAULT_REPETITIONS = 200;

/**
 * Runs a recorded pass repeatedly, with each dispatch in a compute pass of its own between two timestamps. A dispatch shorter
 * than the clock's resolution is measured as 0 or 1 steps of it, which is right on average over many runs. Every run changes
 * the tensors that the pass changes in place. Read-backs to the host are left out.
 *
 * @throws GpuError GPU_LIMIT if the adapter has no timestamps; the signal's reason; KernelError, GpuError as `Pass.submit`
 */
export async function profilePass(
  pass: Pass,
  { repetitions, signal }: ProfileOptions = {},
): Promise<Profile> {
  const { gpu } = pass;
  if (!gpu.device.features.has('timestamp-query')) {
    throw new GpuError('GPU_LIMIT', `this adapter has no timestamps (${gpu.description})`, {
      expected: 'the feature timestamp-query',
      hint: 'use another adapter, or time single kernels with `m2 kernel bench`, which can use the host clock',
    });
  }
  const steps = (await pass.prepared()).filter((step) => step.kind === 'dispatch' || step.runs === undefined);
  const totals = new Map<string, Total>();
  for (const cost of await passCosts(pass)) addTotal(totals, { ...cost, dispatches: 1, us: 0 });
  const groups = Array.from({ length: Math.ceil(steps.length / GROUP_STEPS) }, (_, i) =>
    steps.slice(i * GROUP_STEPS, (i + 1) * GROUP_STEPS),
  );
  const clock = new GroupClock(gpu);
  const startedAt = performance.now();
  let runs = 0;
  try {
    do {
      for (const group of groups) {
        signal?.throwIfAborted();
        const ns = await clock.time(group);
        for (const [i, { call }] of group.filter(isDispatch).entries()) {
          (totals.get(call.declaration.name) as Total).us += ns[i] / 1000;
        }
      }
      runs++;
    } while (
      repetitions === undefined
        ? runs < MAX_DEFAULT_REPETITIONS && performance.now() - startedAt < DEFAULT_MS
        : runs < repetitions
    );
  } finally {
    clock.destroy();
  }
  for (const total of totals.values()) total.us /= runs;
  const us = [...totals.values()].reduce((sum, total) => sum + total.us, 0);
  const wallUs = await timeWithoutStamps(gpu, groups, runs, us / 1000, signal);
  return profileOf([...totals.values()], { wallUs, repetitions: runs, resolutionUs: clock.stepNs / 1000 });
}

/** Adds up the profiles of passes that run one after the other. */
export function joinProfiles(profiles: readonly Profile[]): Profile {
  const totals = new Map<string, Total>();
  for (const row of profiles.flatMap(({ rows }) => rows)) addTotal(totals, row);
  return profileOf([...totals.values()], {
    wallUs: profiles.reduce((sum, { wallUs }) => sum + wallUs, 0),
    repetitions: Math.min(...profiles.map((profile) => profile.repetitions)),
    resolutionUs: Math.max(...profiles.map((profile) => profile.resolutionUs)),
  });
}

type Total = { -readonly [K in 'kernel' | 'dispatches' | 'us' | 'bytes' | 'flops']: ProfileRow[K] };

function addTotal(totals: Map<string, Total>, { kernel, dispatches, us, bytes, flops }: Total): void {
  const total = totals.get(kernel);
  if (total === undefined) {
    totals.set(kernel, { kernel, dispatches, us, bytes, flops });
    return;
  }
  total.dispatches += dispatches;
  total.us += us;
  total.bytes += bytes;
  total.flops = total.flops === null || flops === null ? null : total.flops + flops;
}

function profileOf(
  totals: readonly Total[],
  rest: Pick<Profile, 'wallUs' | 'repetitions' | 'resolutionUs'>,
): Profile {
  const us = totals.reduce((sum, total) => sum + total.us, 0);
  const rows = totals.map((total) => ({
    ...total,
    share: us > 0 ? total.us / us : 0,
    gbPerS: total.us > 0 ? total.bytes / total.us / 1e3 : null,
    gflopPerS: total.us > 0 && total.flops !== null ? total.flops / total.us / 1e3 : null,
  }));
  const dispatches = totals.reduce((sum, total) => sum + total.dispatches, 0);
  return { rows: rows.toSorted((a, b) => b.us - a.us), dispatches, us, ...rest };
}

function isDispatch(step: PreparedStep): step is PreparedDispatch {
  return step.kind === 'dispatch';
}

/** Times the dispatches of a group, one group after the other. */
class GroupClock {
  /** The greatest common divisor of all differences of timestamps so far, in ns. */
  stepNs = 0;
  readonly #gpu: Gpu;
  readonly #stamps: GPUQuerySet;
  readonly #resolved: GPUBuffer;
  readonly #staging: GPUBuffer;
  readonly #expectedMs = new Map<readonly PreparedStep[], number>();

  constructor(gpu: Gpu) {
    const bytes = GROUP_STEPS * 2 * 8;
    this.#gpu = gpu;
    this.#stamps = gpu.device.createQuerySet({ type: 'timestamp', count: GROUP_STEPS * 2 });
    this.#resolved = gpu.createBuffer(bytes, 0x200 | 0x04, 'timestamps'); // QUERY_RESOLVE | COPY_SRC
    this.#staging = gpu.createBuffer(bytes, 0x01 | 0x08, 'timestamps read-back'); // MAP_READ | COPY_DST
  }

  /** Runs `group`. @returns the nanoseconds of each of its dispatches */
  async time(group: readonly PreparedStep[]): Promise<number[]> {
    const queries = 2 * group.filter(isDispatch).length;
    const commands = encodeSteps(this.#gpu, 'profile', group, this.#stamps);
    const encoder = this.#gpu.device.createCommandEncoder();
    if (queries > 0) encoder.resolveQuerySet(this.#stamps, 0, queries, this.#resolved, 0);
    encoder.copyBufferToBuffer(this.#resolved, 0, this.#staging, 0, queries * 8);
    const startedAt = performance.now();
    this.#gpu.submit([commands, encoder.finish()]);
    await sleepThrough(this.#expectedMs.get(group) ?? 0);
    await this.#gpu.wait(this.#staging.mapAsync(0x01)); // GPUMapMode.READ
    const elapsedMs = performance.now() - startedAt;
    this.#expectedMs.set(group, elapsedMs);
    const stamps = new BigUint64Array(this.#staging.getMappedRange().slice(0, queries * 8));
    this.#staging.unmap();
    for (const stamp of stamps) this.stepNs = commonDivisor(this.stepNs, Number(stamp - stamps[0]));
    return Array.from({ length: queries / 2 }, (_, i) => {
      const ns = Number(stamps[2 * i + 1] - stamps[2 * i]);
      return ns > 0 && ns < elapsedMs * 1e6 ? ns : 0; // some clocks step back or jump
    });
  }

  destroy(): void {
    for (const resource of [this.#stamps, this.#resolved, this.#staging]) resource.destroy();
  }
}

function commonDivisor(a: number, b: number): number {
  return b === 0 ? Math.abs(a) : commonDivisor(b, a % b);
}

/** Microseconds of one run by the host's clock. */
async function timeWithoutStamps(
  gpu: Gpu,
  groups: readonly (readonly PreparedStep[])[],
  repetitions: number,
  stampedMs: number,
  signal: AbortSignal | undefined,
): Promise<number> {
  let totalMs = 0;
  let fastestMs = stampedMs; // of one run
  for (let run = 0; run < repetitions; run += RUNS_PER_WAIT) {
    signal?.throwIfAborted();
    const runs = Math.min(RUNS_PER_WAIT, repetitions - run);
    const startedAt = performance.now();
    for (let i = 0; i < runs; i++) {
      for (const group of groups) gpu.submit([encodeSteps(gpu, 'profile', group)]);
    }
    await sleepThrough(runs * fastestMs);
    await gpu.idle();
    const elapsedMs = performance.now() - startedAt;
    totalMs += elapsedMs;
    fastestMs = Math.min(fastestMs, elapsedMs / runs);
  }
  return (totalMs / repetitions) * 1000;
}
