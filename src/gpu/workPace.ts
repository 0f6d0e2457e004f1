/** How much of a pass goes to the GPU at once: enough to keep it busy, little enough to be interrupted. */
import { LearnedWait } from './sleepThrough.ts';

const GROUP_MS = 40; // of work between two looks at an abort signal
const FIRST_GROUP = 2 ** 20; // see stepWork.ts; a millisecond or so on a software adapter
const MAX_GROWTH = 4; // what one group says of the next is not quite true

/** Groups of steps that take about as long as each other, on one device. What is learned from one pass holds for the next. */
export class WorkPace {
  #group = FIRST_GROUP;
  readonly #wait = new LearnedWait();

  /** @param works of all steps @returns the end of the group that begins at step `begin`: one step at least */
  groupEnd(works: readonly number[], begin: number): number {
    let end = begin + 1;
    for (let work = works[begin]; end < works.length; end++) {
      work += works[end];
      if (work > this.#group) break;
    }
    return end;
  }

  /** Waits for a group, asleep for most of the time, and learns from it. @param submit queues it @param idle waits for it */
  async run(work: number, submit: () => void, idle: () => Promise<void>): Promise<void> {
    const startedAt = performance.now();
    submit();
    await this.#wait.sleepFirst(work, idle);
    const elapsedMs = performance.now() - startedAt;
    const isRest = work < this.#group / 2 && elapsedMs < GROUP_MS; // the end of a pass: mostly the wait itself
    if (!isRest) this.#group = work * Math.min(GROUP_MS / elapsedMs, MAX_GROWTH);
  }
}
