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
 * @typedef {object} Engine an open engine, or its problem
 * @property {string} name
 * @property {EngineProcess} process
 * @property {any} info
 * @property {string | null} agreement the result of the check
 * @property {string | null} problem
 *
 * @typedef {object} Row
 * @property {string} engine
 * @property {string} [device] the engine's name for the adapter
 * @property {number} [median]
 * @property {readonly number[]} [runs]
 * @property {{ median: number, low: number, high: number }} [ratio] speed of the first engine divided by this one's, run by run
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
 * Runs `body` for an engine without a problem. An error becomes the engine's problem and ends its process.
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
 * Times the engines in turns.
 *
 * @param {readonly Engine[]} engines ratios compare with the first
 * @param {{ rounds: number, warmups: number }} times
 * @param {(process: EngineProcess) => Promise<number>} run returns the speed of one run; higher is better
 * @returns {Promise<Row[]>}
 * @throws Error if the first engine has a problem, so that there is nothing to compare with
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
