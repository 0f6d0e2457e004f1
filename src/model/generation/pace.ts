import { MAX_STEPS } from './sequence.ts';

const WAIT_MS = 20; // short enough for smooth output, and for little wasted work past the end of an answer

/** Chooses the number of decode steps per wait. A wait costs time, but all tokens of a longer wait arrive at once. */
export class Pace {
  steps: number;
  readonly #isFixed: boolean;
  #isWarm = false;

  constructor(fixed: number | null) {
    this.steps = fixed ?? 1;
    this.#isFixed = fixed !== null;
  }

  /** Waits for `work`, which runs `steps` steps, and adapts `this.steps` to the time it takes. */
  async timed<T>(steps: number, work: Promise<T>): Promise<T> {
    const startedAt = performance.now();
    const result = await work;
    if (this.#isFixed) return result;
    if (!this.#isWarm) {
      this.#isWarm = true; // the first step also compiles and binds, so its time is not typical
      this.steps = 2;
      return result;
    }
    const msPerStep = (performance.now() - startedAt) / steps;
    const fitting = Math.max(1, Math.floor(WAIT_MS / msPerStep));
    this.steps = Math.min(fitting, 2 * this.steps, MAX_STEPS / 4); // grows slowly: steps past the end are wasted
    return result;
  }
}
