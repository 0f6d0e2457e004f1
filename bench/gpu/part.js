// Runs one part of gpu.js in a process of its own.

// @ts-check
import { measureAdapter, openGpu } from 'm2-reasoning';
import { adapter, checkedKernels, goldens } from './checks.js';
import { halfBillion, sevenBillion, tiny } from './models.js';
import { attention, choosing, linear, rates } from './operations.js';
import { readPart, writePart } from './report.js';

/** @type {Record<string, (run: PartRun) => Promise<void>>} */
const PARTS = {
  adapter,
  kernels: checkedKernels,
  goldens,
  rates,
  linear,
  attention,
  choosing,
  'm2-tiny': tiny,
  '0.5b': halfBillion,
  '7b': sevenBillion,
};

/** The inputs and results of a part. */
export class PartRun {
  /** @type {import('m2-reasoning').Gpu} */
  gpu;
  #settings;
  /** @type {import('./report.js').Row[]} */
  #rows = [];
  /** @type {string[]} */
  #notes = [];
  /** @type {string[]} */
  #problems = [];

  /**
   * @param {{ part: string, folder: string, date: string, quick: boolean, kernels?: string[], seconds: number }} settings
   * @param {import('m2-reasoning').Gpu} gpu
   */
  constructor(settings, gpu) {
    this.#settings = settings;
    this.gpu = gpu;
  }

  /** Whether to use small sizes. */
  get quick() {
    return this.#settings.quick;
  }

  /** The kernels to check; undefined: all. */
  get kernels() {
    return this.#settings.kernels;
  }

  /** The time until the part is killed. */
  get seconds() {
    return this.#settings.seconds;
  }

  /** The time until it should end by itself, with a tenth in reserve for work that is already running. */
  get secondsLeft() {
    return 0.9 * this.seconds - performance.now() / 1000;
  }

  /** Whether there is no time for `what` and all behind it, which is noted then. @param {string} what */
  isLate(what) {
    const isLate = this.secondsLeft < 0;
    if (isLate) this.note(`no time: ${what}, and what follows it`);
    return isLate;
  }

  /** Prints and stores a result. @param {import('./report.js').Row} row @param {string} line */
  add(row, line) {
    console.log(`  ${line}`);
    this.#rows.push(row);
    this.save('running');
  }

  /** Prints and stores a note for readers of the results, e.g. what was left out. @param {string} text */
  note(text) {
    console.log(`  ${text}`);
    this.#notes.push(text);
    this.save('running');
  }

  /** Prints and stores a problem, which makes the whole run fail. @param {unknown} problem an error, or its text */
  problem(problem) {
    const text = problem instanceof Error ? `${problem.name}: ${problem.message}` : String(problem);
    console.log(`  FAILED: ${text}`);
    if (problem instanceof Error) console.error(problem.stack);
    this.#problems.push(text);
    this.save('running');
  }

  /** The results of the part `rates`; measured now if it has not run. @returns {Promise<import('m2-reasoning').AdapterRates>} */
  async rates() {
    const [row] = readPart(this.#settings.folder, 'rates')?.rows ?? [];
    return /** @type {any} */ (row) ?? measureAdapter(this.gpu);
  }

  /** Reopens the GPU if the device is lost. */
  async revive() {
    try {
      this.gpu.assertHealthy();
    } catch {
      this.gpu.destroy();
      this.gpu = await openGpu();
    }
  }

  /** @param {'running' | 'ended'} state */
  save(state) {
    const { folder, part, date } = this.#settings;
    const status = state === 'running' ? 'running' : this.#problems.length > 0 ? 'failed' : 'done';
    const seconds = performance.now() / 1000;
    const adapter = `${this.gpu.info.device}, ${this.gpu.description}`;
    const left = { problems: this.#problems, notes: this.#notes, rows: this.#rows };
    writePart(folder, { part, status, date, adapter, seconds, ...left });
  }
}

const settings = JSON.parse(process.argv[2]);
const run = new PartRun(settings, await openGpu());
try {
  await PARTS[settings.part](run);
} catch (error) {
  run.problem(error);
}
run.save('ended');
process.exit();
