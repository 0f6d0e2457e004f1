/** How much of a pass goes to the GPU at once: enough to keep it busy, little enough to be interrupted. */
import type { PreparedStep } from './encode.ts';
import { LearnedWait } from './sleepThrough.ts';

const GROUP_MS = 40; // of work between two looks at an abort signal
const FIRST_GROUP = 2 ** 20; // a millisecond or so on a software adapter
const MAX_GROWTH = 4; // what one group says of the next is not quite true
const FLOPS_PER_BYTE = 16; // that take as long as the byte: near enough on CPU and GPU
const DISPATCH = 20_000; // bytes that could be read while a dispatch begins
const NO_INPUTS = new Proxy<Record<string, number[]>>({}, { get: () => [] }); // attention's flops follow from values: NaN

/** Groups of steps that take about as long as each other, on one device. What is learned from one pass holds for the next. */
export class WorkPace {
  #group = FIRST_GROUP;
  readonly #wait = new LearnedWait();

  /** @returns the end of the group that begins at step `begin`: one step at least */
  groupEnd(steps: readonly PreparedStep[], begin: number): number {
    let end = begin + 1;
    for (let work = workOf(steps[begin]); end < steps.length; end++) {
      work += workOf(steps[end]);
      if (work > this.#group) break;
    }
    return end;
  }

  /** Waits for a group, asleep for most of the time, and learns from it. @param submit queues it @param idle waits for it */
  async run(group: readonly PreparedStep[], submit: () => void, idle: () => Promise<void>): Promise<void> {
    const work = group.reduce((sum, step) => sum + workOf(step), 0);
    const startedAt = performance.now();
    submit();
    await this.#wait.sleepFirst(work, idle);
    const elapsedMs = performance.now() - startedAt;
    const isRest = work < this.#group / 2 && elapsedMs < GROUP_MS; // the end of a pass: mostly the wait itself
    if (!isRest) this.#group = work * Math.min(GROUP_MS / elapsedMs, MAX_GROWTH);
  }
}

/** In bytes that could be read meanwhile: what a step binds, and what it computes. */
function workOf(step: PreparedStep): number {
  if (step.kind === 'copy') return step.bytes;
  const { declaration, sizes, buffers } = step.call;
  const flops = declaration.flops?.(sizes, NO_INPUTS) || 0;
  return DISPATCH + buffers.reduce((sum, { size }) => sum + size, flops / FLOPS_PER_BYTE);
}
