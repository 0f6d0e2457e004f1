/** Dawn's binding spins the event loop while a promise waits, on a core that a software adapter needs: sleep most of the time. */
export async function sleepThrough(expectedMs: number): Promise<void> {
  if (expectedMs < 4) return; // timers are no finer than a millisecond
  await new Promise((resolve) => setTimeout(resolve, expectedMs * 0.8));
}

const OVERSLEPT_MS = 0.3;
const REMEMBERED = 3; // one wait that something else made long is not slept through again

/** Waits of one kind: sleeps through most of each, for as long as the shortest of the last ones took. */
export class LearnedWait {
  readonly #msPerUnit: number[] = [];

  /** @param units how much work is waited for, e.g. runs of a pass */
  async sleepFirst<T>(units: number, wait: () => Promise<T>): Promise<T> {
    const startedAt = performance.now();
    await sleepThrough(this.#msPerUnit.length > 0 ? units * Math.min(...this.#msPerUnit) : 0);
    const wokeAt = performance.now();
    const result = await wait();
    const endedAt = performance.now();
    // Work that was done when the sleep ended may have been done long before.
    const shorter = endedAt - wokeAt < OVERSLEPT_MS ? 0.7 : 1;
    this.#msPerUnit.push(((endedAt - startedAt) * shorter) / units);
    if (this.#msPerUnit.length > REMEMBERED) this.#msPerUnit.shift();
    return result;
  }
}
