/** Sleeps through most of a wait. Dawn's binding polls while a promise is pending, on a core that a software adapter needs. */
export async function sleepThrough(expectedMs: number): Promise<void> {
  if (expectedMs < 4) return; // timers have a resolution of a millisecond
  await new Promise((resolve) => setTimeout(resolve, expectedMs * 0.8));
}

const OVERSLEPT_MS = 0.3;
const REMEMBERED = 3; // so that one slow wait does not lengthen the next sleep

/** Waits for one kind of work. Sleeps through most of each wait, judging by the shortest of the last few. */
export class LearnedWait {
  readonly #msPerUnit: number[] = [];

  /** @param units amount of work to wait for, e.g. runs of a pass */
  async sleepFirst<T>(units: number, wait: () => Promise<T>): Promise<T> {
    const startedAt = performance.now();
    await sleepThrough(this.#msPerUnit.length > 0 ? units * Math.min(...this.#msPerUnit) : 0);
    const wokeAt = performance.now();
    const result = await wait();
    const endedAt = performance.now();
    // If the work was done when the sleep ended, it may have been done long before: assume less next time.
    const shorter = endedAt - wokeAt < OVERSLEPT_MS ? 0.7 : 1;
    this.#msPerUnit.push(((endedAt - startedAt) * shorter) / units);
    if (this.#msPerUnit.length > REMEMBERED) this.#msPerUnit.shift();
    return result;
  }
}
