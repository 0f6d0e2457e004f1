// Opens engines side by side and times them in turns: A B C A B C.

// @ts-check
import { EngineProcess } from './engineProcess.js';

/**
 * @typedef {object} EngineSpec
 * @property {string} name
 * @property {string} module file name in engines/
 * @property {object} options for the module's `open`
 * @property {Record<string, string>} [env]
 *
 * @typedef {object} Engine an engine that is open, or the problem that it had
 * @property {string} name
 * @property {EngineProcess} process
 * @property {any} info
 * @property {string | null} agreement what the check found
 * @property {string | null} problem
 *
 * @typedef {object} Row
 * @property {string} engine
 * @property {string} [device] the adapter, as the engine calls it
 * @property {number} [median]
 * @property {readonly number[]} [runs]
 * @property {{ median: number, low: number, high: number }} [ratio] speed of the first engine over this one's, run by run
 * @property {string} [agreement]
 * @property {string} [problem]
 */

/** @param {readonly EngineSpec[]} specs @returns {Promise<Engine[]>} */
export async function openEngines(specs) {
  const engines = [];
  for (const { name, module, options, env } of specs) {
    const process = new EngineProcess(module, env ?? {});
    /** @type {Engine} */
    const engine = { name, process, info: null, agreement: null, problem: null };
    await attempt(engine, async () => {
      engine.info = await process.call('open', options);
    });
    engines.push(engine);
  }
  return engines;
}

/**
 * Runs `body` for an engine that has had no problem yet; an error becomes its problem, and its process ends.
 *
 * @param {Engine} engine
 * @param {() => Promise<void>} body
 */
export async function attempt(engine, body) {
  if (engine.problem !== null) return;
  try {
    await body();
  } catch (error) {
    engine.problem = error instanceof Error ? error.message : String(error);
    engine.process.close();
  }
}

/**
 * @param {readonly Engine[]} engines the first is the one that ratios compare with
 * @param {{ rounds: number, warmups: number }} times
 * @param {(process: EngineProcess) => Promise<number>} run one run's speed: more is better
 * @returns {Promise<Row[]>}
 * @throws Error the problem of the first engine: there is nothing to compare with then
 */
export async function interleave(engines, { rounds, warmups }, run) {
  /** @type {number[][]} */
  const runs = engines.map(() => []);
  for (let round = -warmups; round < rounds; round++) {
    for (const [index, engine] of engines.entries()) {
      await attempt(engine, async () => {
        const speed = await run(engine.process);
        if (round >= 0) runs[index].push(speed);
      });
    }
  }
  if (engines[0].problem !== null) throw new Error(`${engines[0].name}: ${engines[0].problem}`);
  return engines.map(({ name, info, agreement, problem }, index) => {
    const row = { engine: name, device: info?.device, ...(agreement === null ? {} : { agreement }) };
    if (problem !== null) return { ...row, problem };
    const ratios = runs[index].map((speed, round) => runs[0][round] / speed).sort((a, b) => a - b);
    return {
      ...row,
      median: median(runs[index]),
      runs: runs[index],
      ratio: { median: median(ratios), low: ratios[0], high: ratios[ratios.length - 1] },
    };
  });
}

/** @param {readonly number[]} numbers */
function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
