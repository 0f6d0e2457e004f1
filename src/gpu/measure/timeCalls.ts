/** Times kernel calls: several contenders in turns, with as many calls in one submit as the clock needs. */
import { Gpu } from '../device.ts';
import { Pass } from '../pass.ts';

/** Records one call of the work to time. */
export type RecordCall = (pass: Pass) => void;

export interface TimedCalls {
  /** Microseconds of one call, the median over the rounds. */
  readonly usPerCall: number;
  /** Microseconds of one call in each round. On a busy machine compare two contenders round by round, not by their medians. */
  readonly roundsUs: readonly number[];
  /** Number of calls in the one submit of a round. */
  readonly calls: number;
  /** GPU timestamps if a round is long enough for them, else the host's clock around a submit and its wait. */
  readonly clock: 'timestamps' | 'wall clock';
}

export interface TimeOptions {
  /** Default 5. */
  readonly rounds?: number;
  /** Minimum duration of a round, in ms; default 50. A call that takes longer is a round of its own. */
  readonly roundMs?: number;
}

const MAX_CALLS = 4096; // calls in a round; each has a bind group
const TIMESTAMP_MS = 5; // implementations may round timestamps to 0.1 ms, which is 2 % of this

/**
 * Times `contenders` in rounds that take turns (A B A B …), so that other load on the machine affects all alike.
 *
 * @throws KernelError, GpuError as `Pass.submit`
 */
export async function timeCalls(
  gpu: Gpu,
  contenders: readonly RecordCall[],
  { rounds = 5, roundMs = 50 }: TimeOptions = {},
): Promise<TimedCalls[]> {
  const held = new HeldGpu(gpu);
  const lists: CallList[] = [];
  try {
    for (const record of contenders) lists.push(await fillRound(held, record, roundMs));
    for (let round = 0; round < rounds; round++) {
      for (const list of lists) list.timings.push(await timeRound(held, list));
    }
  } finally {
    for (const { pass } of lists) await pass.destroy();
    held.stopListening();
  }
  return lists.map(({ calls, timings }) => ({
    usPerCall: (median(timings.map(({ ms }) => ms)) / calls) * 1000,
    roundsUs: timings.map(({ ms }) => (ms / calls) * 1000),
    calls,
    clock: timings.every(({ byGpu }) => byGpu) ? 'timestamps' : 'wall clock',
  }));
}

interface Timing {
  readonly ms: number;
  readonly byGpu: boolean;
}
interface CallList {
  readonly pass: Pass;
  readonly calls: number;
  /** Expected duration of a round, to sleep through most of it. */
  readonly expectedMs: number;
  readonly timings: Timing[];
}

/** The same device, but it holds back submits, to keep recording and encoding out of the measured time. */
class HeldGpu extends Gpu {
  readonly #held: GPUCommandBuffer[] = [];

  constructor({ device, info, maxBindingBytes, readText }: Gpu) {
    super(device, info, maxBindingBytes, { adapter: null, readText, release: () => {} });
  }

  override submit(commands: readonly GPUCommandBuffer[]): void {
    this.#held.push(...commands);
  }

  takeHeld(): GPUCommandBuffer[] {
    return this.#held.splice(0);
  }
}

/** Repeats a call until the list takes `roundMs`. */
async function fillRound(gpu: HeldGpu, record: RecordCall, roundMs: number): Promise<CallList> {
  let calls = 1;
  let isWarm = false;
  for (;;) {
    const pass = new Pass(gpu, 'timed calls');
    try {
      for (let call = 0; call < calls; call++) record(pass);
      const list = { pass, calls, expectedMs: 0, timings: [] };
      if (!isWarm) await timeRound(gpu, list); // the first run compiles, and touches its memory for the first time
      isWarm = true;
      const { ms } = await timeRound(gpu, list);
      if (ms >= roundMs || calls === MAX_CALLS) return { ...list, expectedMs: ms };
      const growth = Math.min(16, (1.2 * roundMs) / ms); // a little more than needed: a few calls are timed inaccurately
      calls = Math.min(MAX_CALLS, Math.ceil(calls * Math.max(1.2, growth)));
    } catch (error) {
      await pass.destroy();
      throw error;
    }
    await pass.destroy();
  }
}

async function timeRound(gpu: HeldGpu, { pass, expectedMs }: CallList): Promise<Timing> {
  await pass.submit();
  const calls = gpu.takeHeld();
  const stamps = gpu.device.features.has('timestamp-query') ? new Timestamps(gpu) : null;
  const commands = stamps ? [stamps.begin(), ...calls, stamps.end()] : calls;
  await gpu.idle();

  const startedAt = performance.now();
  gpu.device.queue.submit(commands);
  // Dawn's binding polls while it waits, on a core that a software adapter needs.
  if (expectedMs > 10) await new Promise((resolve) => setTimeout(resolve, 0.8 * expectedMs));
  await gpu.idle();
  const wallMs = performance.now() - startedAt;
  const gpuMs = (await stamps?.read()) ?? 0;
  const isPlausible = gpuMs >= TIMESTAMP_MS && gpuMs <= wallMs; // some clocks jump
  return isPlausible ? { ms: gpuMs, byGpu: true } : { ms: wallMs, byGpu: false };
}

/** Two timestamps, written by empty compute passes before and after the command buffers to time. */
class Timestamps {
  readonly #gpu: Gpu;
  readonly #querySet: GPUQuerySet;
  readonly #resolved: GPUBuffer;
  readonly #staging: GPUBuffer;

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
    this.#querySet = gpu.device.createQuerySet({ type: 'timestamp', count: 2 });
    this.#resolved = gpu.createBuffer(16, 0x200 | 0x04, 'timestamps'); // QUERY_RESOLVE | COPY_SRC
    this.#staging = gpu.createBuffer(16, 0x01 | 0x08, 'timestamps read-back'); // MAP_READ | COPY_DST
  }

  begin(): GPUCommandBuffer {
    const encoder = this.#gpu.device.createCommandEncoder();
    const timestampWrites = { querySet: this.#querySet, beginningOfPassWriteIndex: 0 };
    encoder.beginComputePass({ timestampWrites }).end();
    return encoder.finish();
  }

  end(): GPUCommandBuffer {
    const encoder = this.#gpu.device.createCommandEncoder();
    const timestampWrites = { querySet: this.#querySet, endOfPassWriteIndex: 1 };
    encoder.beginComputePass({ timestampWrites }).end();
    encoder.resolveQuerySet(this.#querySet, 0, 2, this.#resolved, 0);
    encoder.copyBufferToBuffer(this.#resolved, 0, this.#staging, 0, 16);
    return encoder.finish();
  }

  /** Frees the timestamps. @returns the milliseconds between them */
  async read(): Promise<number> {
    await this.#gpu.wait(this.#staging.mapAsync(0x01)); // GPUMapMode.READ
    const [begin, end] = new BigUint64Array(this.#staging.getMappedRange().slice(0));
    this.#staging.destroy();
    this.#resolved.destroy();
    this.#querySet.destroy();
    return end > begin ? Number(end - begin) / 1e6 : 0;
  }
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
