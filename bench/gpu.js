// Checks and measures everything in one run on a machine with a GPU: correctness, speed, and the distance from the peak rates.
//
//   npm run bench:gpu                                all parts, within ten minutes, into bench/results/<date>-<adapter>
//   npm run bench:gpu -- --minutes 5 --out DIR       less time, another folder
//   npm run bench:gpu -- --only rates,linear         some of the parts; README.md lists them
//   npm run bench:gpu -- --quick                     small sizes, to test that the script works
//   npm run bench:gpu -- --kernels add,gemv          the kernels that the part `kernels` checks; default: all
//
// Each part runs in its own process with a share of the time. If it fails, crashes or hangs, only its own results are lost.
// It writes <part>.json row by row, and summary.md and roofline.svg are rewritten after each part, so that an interrupted run keeps
// its results. Exit code: 0 success, 1 if a part failed or found an error, 2 for wrong usage, 130 after Ctrl-C.

// @ts-check
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openGpu } from 'm2-reasoning';
import { readPart, writePart, writeReport } from './gpu/report.js';

/** The parts in order, and the share of each in seconds of ten minutes. Time that a part does not use goes to later parts. */
const PARTS = {
  adapter: 15,
  kernels: 90,
  goldens: 60,
  rates: 15,
  linear: 120,
  attention: 25,
  choosing: 10,
  'm2-tiny': 25,
  '0.5b': 60,
  '7b': 180,
};

const { only, minutes, out, quick, kernels } = options();
const date = new Date().toISOString().slice(0, 10);
const folder = out ?? join(fileURLToPath(new URL('results', import.meta.url)), `${date}-${await slug()}`);
mkdirSync(folder, { recursive: true });
console.log(`results: ${folder}`);

/** @type {import('node:child_process').ChildProcess | null} */
let child = null;
let interrupted = false;
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) {
  process.on(signal, () => {
    interrupted = true;
    child?.kill('SIGKILL');
  });
}

const endsAt = performance.now() + minutes * 60_000;
let failed = false;
for (const [i, part] of only.entries()) {
  const shares = only.slice(i).map((name) => PARTS[name]);
  const left = (endsAt - performance.now()) / 1000;
  const seconds = (left * shares[0]) / shares.reduce((sum, share) => sum + share);
  console.log(
    `\n${i + 1}/${only.length} ${part}: at most ${seconds.toFixed(0)} of the ${left.toFixed(0)} s that are left`,
  );
  const begun = /** @type {const} */ ({ part, status: 'running', date, adapter: '', seconds: 0 });
  writePart(folder, { ...begun, problems: [], notes: [], rows: [] });
  const ending = await runPart(part, seconds);
  const result = /** @type {import('./gpu/report.js').PartResult} */ (readPart(folder, part));
  if (result.status === 'running') {
    console.log(`  FAILED: ${ending}`);
    writePart(folder, { ...result, status: 'failed', problems: [...result.problems, ending] });
  }
  if (result.status !== 'done') failed = true;
  try {
    writeReport(folder, Object.keys(PARTS));
  } catch (error) {
    failed = true; // the other parts still run
    console.error(error);
  }
  if (interrupted) break;
}
console.log(`\n${failed ? 'something failed: ' : ''}${join(folder, 'summary.md')}`);
process.exit(interrupted ? 130 : failed ? 1 : 0);

/**
 * @param {string} part
 * @param {number} seconds time after which it is killed
 * @returns {Promise<string>} how its process ended
 */
async function runPart(part, seconds) {
  const settings = { part, folder, date, quick, kernels, seconds };
  const script = fileURLToPath(new URL('gpu/part.js', import.meta.url));
  const started = spawn(process.execPath, [script, JSON.stringify(settings)], { stdio: 'inherit' });
  child = started;
  const ending = await new Promise((resolve) => {
    started.on('error', (error) => resolve(`its process did not start: ${error.message}`));
    started.on('exit', (code, signal) => resolve(`its process ended with ${signal ?? `code ${code}`}`));
    setTimeout(() => {
      started.kill('SIGKILL');
      resolve(`stopped after ${seconds.toFixed(0)} s`);
    }, 1000 * seconds).unref();
  });
  return interrupted ? 'interrupted' : ending;
}

/** The adapter's name in a form for paths. */
async function slug() {
  const gpu = await openGpu();
  const { device, description } = gpu.info;
  gpu.destroy();
  return (device || description)
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
}

function options() {
  try {
    const { values } = parseArgs({
      options: {
        only: { type: 'string', default: Object.keys(PARTS).join() },
        minutes: { type: 'string', default: '10' },
        out: { type: 'string' },
        quick: { type: 'boolean', default: false },
        kernels: { type: 'string' },
      },
    });
    const minutes = Number(values.minutes);
    if (!(minutes > 0)) throw new RangeError('--minutes should be a number above 0');
    const only = /** @type {(keyof typeof PARTS)[]} */ (values.only.split(','));
    const unknown = only.find((part) => !Object.hasOwn(PARTS, part));
    if (unknown !== undefined) {
      throw new RangeError(`there is no part ${unknown}; there are ${Object.keys(PARTS).join(', ')}`);
    }
    return { only, minutes, out: values.out, quick: values.quick, kernels: values.kernels?.split(',') };
  } catch (error) {
    console.error(String(error));
    process.exit(2);
  }
}
