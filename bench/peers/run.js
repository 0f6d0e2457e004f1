// Compares m2-reasoning with other engines, with the same adapter and the same numbers, in the same run.
//
//   npm ci --prefix bench/peers --ignore-scripts     once; onnxruntime's install script would download CUDA
//   npm run bench:peers                              everything: minutes on a GPU, about an hour on a software adapter
//   npm run bench:peers -- --quick                   only tests that everything works; stores nothing
//   npm run bench:peers -- --only matmul,m2-tiny     some of matmul, m2-tiny, 0.5b
//
// VK_DRIVER_FILES chooses the driver of all engines. If a driver has several adapters, hide all but one.
// Every engine runs in its own process and is checked before it is timed. The engines are timed in turns: A B C A B C.
// Prints a table and stores results/<date>-<adapter>.json and .svg.
// A software adapter uses the same processor as the CPU engines: their rows show what the machine can do.

// @ts-check
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { chart, digits } from './chart.js';
import { measureMatmul } from './matmul.js';
import { measureTextModel } from './textModel.js';

/**
 * @typedef {object} Measure
 * @property {string} name
 * @property {string} unit higher is better
 * @property {string} note
 * @property {readonly import('./interleave.js').Row[]} rows ratios compare with the first
 */

const PARTS = ['matmul', 'm2-tiny', '0.5b'];
const { values } = parseArgs({
  options: {
    only: { type: 'string', default: PARTS.join(',') },
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '5' },
    layers: { type: 'string' }, // of 0.5b, which has 24
  },
});
const parts = values.only.split(',');
const unknown = parts.filter((part) => !PARTS.includes(part));
if (unknown.length > 0) throw new RangeError(`--only takes ${PARTS.join(', ')}, not ${unknown.join(', ')}`);
const rounds = values.quick ? 2 : wholeNumber('--rounds', values.rounds);
const layers = values.quick
  ? 1
  : values.layers === undefined
    ? undefined
    : wholeNumber('--layers', values.layers);

const folder = mkdtempSync(join(tmpdir(), 'm2-peers-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
process.on('SIGINT', () => process.exit(130));
process.env.XDG_RUNTIME_DIR ??= folder; // Vulkan drivers warn without it

const loadAtStart = loadavg()[0];
/** @type {Measure[]} */
const measures = [];
let adapter = { device: 'unknown', driver: 'unknown' };
for (const part of parts) {
  const result = part === 'matmul' ? await matmul() : await text(part === '0.5b' ? '0.5b' : 'm2-tiny');
  if (result.info !== null) adapter = result.info;
  result.measures.forEach(print);
  measures.push(...result.measures);
}
if (!values.quick) store();

function matmul() {
  const size = values.quick ? { size: 256, chain: 2 } : { size: 1024, chain: 4 };
  return measureMatmul({ ...size, rounds, warmups: 2 });
}

/** @param {'m2-tiny' | '0.5b'} shape */
function text(shape) {
  const decode = shape === 'm2-tiny' ? 64 : 16; // long enough to time
  const lengths = values.quick
    ? { context: 16, decode: 4, prefill: 32 }
    : { context: 64, decode, prefill: 128 };
  const shapeLayers = shape === '0.5b' ? layers : undefined;
  return measureTextModel({ shape, layers: shapeLayers, folder, ...lengths, rounds, warmups: 1 });
}

/** @param {Measure} measure */
function print({ name, unit, note, rows }) {
  console.log(`\n${name}: ${unit}, median of ${rounds} (${note})`);
  console.log(`  ${''.padEnd(40)}${unit.padStart(10)}   ratio (spread)`);
  for (const { engine, median, ratio, agreement = '', problem } of rows) {
    const figures =
      median === undefined || ratio === undefined
        ? `  ${problem}`
        : `${digits(median).padStart(10)}   ${`${ratio.median.toFixed(2)} (${ratio.low.toFixed(2)}-${ratio.high.toFixed(2)})`.padEnd(20)}`;
    console.log(`  ${engine.padEnd(40)}${figures} ${agreement}`);
  }
}

function store() {
  const date = new Date().toISOString().slice(0, 10);
  const slug = adapter.device
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
  const some = parts.length === PARTS.length ? '' : `-${parts.join('-')}`;
  const base = fileURLToPath(new URL(`./results/${date}-${slug}${some}`, import.meta.url));
  const processors = cpus();
  const result = {
    date,
    adapter,
    versions: versions(),
    processor: `${processors[0].model.trim()}, ${processors.length} cores`,
    loadAtStart,
    ratio: "speed of the measure's first row over this row's, run by run: median, lowest, highest",
    measures,
  };
  mkdirSync(new URL('./results/', import.meta.url), { recursive: true });
  writeFileSync(`${base}.json`, `${json(result)}\n`);
  writeFileSync(`${base}.svg`, chart(`${adapter.driver}, ${date}`, measures));
  console.log(`\nstored ${base}.json and .svg`);
}

function versions() {
  const own = {
    node: process.version,
    'm2-reasoning': versionIn('../../package.json'),
    webgpu: versionIn('../../node_modules/webgpu/package.json'),
  };
  const peers = JSON.parse(readFileSync(new URL('./package.json', import.meta.url), 'utf8')).dependencies;
  const release = readFileSync(
    new URL('./node_modules/node-llama-cpp/llama/llama.cpp.info.json', import.meta.url),
    'utf8',
  );
  return { ...own, ...peers, 'llama.cpp': JSON.parse(release).tag };
}

/** @param {string} path */
function versionIn(path) {
  return JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')).version;
}

/** Four significant digits, and lists of numbers on one line. @param {object} value */
function json(value) {
  const rounded = JSON.stringify(
    value,
    (_, item) => (typeof item === 'number' ? Number(item.toPrecision(4)) : item),
    2,
  );
  return rounded.replace(/\[\s+([-\d.,\se+]+?)\s+\]/g, (_, list) => `[${list.replace(/\s+/g, ' ')}]`);
}

/** @param {string} name @param {string} text */
function wholeNumber(name, text) {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new RangeError(`${name} should be a whole number of at least 1`);
  return value;
}
