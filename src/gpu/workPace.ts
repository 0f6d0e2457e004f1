/** Decides how much of a pass to submit at once: enough to keep the GPU busy, little enough to stop soon after an abort. */
import { LearnedWait } from './sleepThrough.ts';

const GROUP_MS = 40; // time between two checks of the abort signal
const FIRST_GROUP = 2 ** 20; // in the unit of stepWork.ts: about a millisecond on a software adapter
const MAX_GROWTH = 4; // one group predicts the next only roughly

/** Splits passes into groups of steps that take about equally long on one device. Later passes start with the learned size. */
export class WorkPace {
  #group = FIRST_GROUP;
  readonly #wait = new LearnedWait();

  /** @param works the work of every step @returns the end of the group that begins at step `begin`; a group has at least one step */
  groupEnd(works: readonly number[], begin: number): number {
    let end = begin + 1;
    for (let work = works[begin]; end < works.length; end++) {
      work += works[end];
      if (work > this.#group) break;
    }
    return end;
  }

  /** Runs a group and adapts the group size to the time it took. @param submit queues the group @param idle waits for it */
  async run(work: number, submit: () => void, idle: () => Promise<void>): Promise<void> {
    const startedAt = performance.now();
    submit();
    await this.#wait.sleepFirst(work, idle);
    const elapsedMs = performance.now() - startedAt;
    const isRest = work < this.#group / 2 && elapsedMs < GROUP_MS; // the end of a pass: too small to learn from
    if (!isRest) this.#group = work * Math.min(GROUP_MS / elapsedMs, MAX_GROWTH);
  }
}
