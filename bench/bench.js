// Times load, prefill and decode of a model on this machine's adapter, in turns with the fast and the plain kernels.
//
//   npm run bench                                    m2-tiny, with an image
//   npm run bench -- --shape 0.5b --layers 4         random weights in Qwen2.5-0.5B's shape, four of its 24 layers
//   npm run bench -- --kernel-set fast               only one set; --json FILE stores the figures
//   npm run bench -- --precision fast                the fast set with the decoder in 8-bit integers (on GPUs, the tower in f16)
//
// Prints the median of --runs runs after one warm-up, and the median of the run-by-run ratios of the two sets.

// @ts-check
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { M2Reasoning, openGpu } from 'm2-reasoning';
import { folderFiles } from 'm2-reasoning/node';
import { decodeBytes, examplePrompt, median, randomPrompt, runOnce } from './endToEnd.js';
import { randomModel, repeatedWeights, tinyFolder } from './randomModel.js';

const { values } = parseArgs({
  options: {
    shape: { type: 'string', default: 'm2-tiny' },
    layers: { type: 'string', default: '24' },
    prefill: { type: 'string', default: '64' },
    decode: { type: 'string', default: '16' },
    runs: { type: 'string', default: '3' },
    'kernel-set': { type: 'string', default: 'both' },
    precision: { type: 'string', default: 'exact' },
    json: { type: 'string' },
  },
});
const [layers, prefillTokens, decodeTokens, runs] = ['layers', 'prefill', 'decode', 'runs'].map((name) => {
  const value = Number(values[/** @type {'layers'} */ (name)]);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new RangeError(`--${name} should be a whole number of at least 1`);
  return value;
});
if (!['fast', 'plain', 'both'].includes(values['kernel-set'])) {
  throw new RangeError('--kernel-set should be fast, plain or both');
}
if (!['exact', 'fast'].includes(values.precision))
  throw new RangeError('--precision should be exact or fast');
const precision = /** @type {'exact'} */ (values.precision);
/** @type {('fast' | 'plain')[]} */
const sets =
  values['kernel-set'] === 'both' ? ['plain', 'fast'] : [/** @type {'fast'} */ (values['kernel-set'])];

const gpu = await openGpu();
const { files, bytes, label } = await (values.shape === '0.5b' ? qwenHalfBillion() : bundled());
/** @type {Record<string, { model: M2Reasoning, loadSeconds: number, measured: import('./endToEnd.js').Run[] }>} */
const bySet = {};
for (const kernelSet of sets) {
  const startedAt = performance.now();
  const model = await M2Reasoning.load(files, {
    gpu,
    kernelSet,
    precision: kernelSet === 'fast' ? precision : 'exact',
  });
  bySet[kernelSet] = { model, loadSeconds: (performance.now() - startedAt) / 1000, measured: [] };
}
const { model } = bySet[sets[0]];

const inputs = values.shape === '0.5b' ? randomPrompt(model, prefillTokens) : await examplePrompt(model);
const prompt = inputs.inputIds.length;
for (let run = 0; run <= runs; run++) {
  for (const set of sets) {
    const measured = await runOnce(bySet[set].model, inputs, decodeTokens);
    if (run > 0) bySet[set].measured.push(measured); // the first run compiles
  }
}

console.log(`${label} on ${gpu.description}`);
const stored = sets.map((set) => ({ kernelSet: set, ...report(set) }));
if (values.json) {
  const date = new Date().toISOString().slice(0, 10);
  const figures = { date, adapter: gpu.description, label, promptTokens: prompt, decodeTokens, sets: stored };
  writeFileSync(values.json, `${JSON.stringify(figures, null, 2)}\n`);
}
for (const set of sets) await bySet[set].model.destroy();
gpu.destroy();

/** @param {string} set */
function report(set) {
  const { loadSeconds, measured } = bySet[set];
  const of = (/** @type {(run: (typeof measured)[0]) => number} */ value) => median(measured.map(value));
  const control = bySet.plain?.measured;
  const against = (/** @type {(run: (typeof measured)[0]) => number} */ seconds) =>
    set === 'fast' && control
      ? `x ${median(measured.map((run, i) => seconds(control[i]) / seconds(run))).toFixed(2)} of plain`
      : '';
  const { bytesRead: read, keys } = measured[0];
  const ideal = decodeBytes(model.config, keys);
  const figures = {
    loadGbPerS: bytes / loadSeconds / 1e9,
    prefillTokensPerS: prompt / of(({ prefill }) => prefill),
    decodeTokensPerS: 1 / of(({ perToken }) => perToken),
    dispatchesPerToken: measured[0].dispatches,
    dispatchesPerLayer: measured[0].dispatches / bySet[set].model.config.llm.numHiddenLayers,
    encodeMsPerToken: of(({ encodeMs }) => encodeMs),
    bytesReadPerToken: read,
    idealBytesPerToken: ideal,
  };
  console.log(` ${set} kernels`);
  const loaded = `${(bytes / 1e6).toFixed(1)} MB in ${loadSeconds.toFixed(2)} s`;
  row('load', figures.loadGbPerS, 'GB/s', loaded);
  const seen = `${prompt} tokens${inputs.images.length ? ', vision tower included' : ''}`;
  row('prefill', figures.prefillTokensPerS, 'tokens/s', `${seen}  ${against(({ prefill }) => prefill)}`);
  row(
    'decode',
    figures.decodeTokensPerS,
    'tokens/s',
    `${decodeTokens} tokens  ${against(({ perToken }) => perToken)}`,
  );
  row(
    'end to end',
    of(({ total }) => total),
    's',
    against(({ total }) => total),
  );
  row(
    'dispatches',
    figures.dispatchesPerToken,
    'per token',
    `${figures.dispatchesPerLayer.toFixed(1)} per layer, embedding and head included`,
  );
  row('encode', figures.encodeMsPerToken, 'ms per token', 'JavaScript only, while the GPU is idle');
  const reach = `${(read / ideal).toFixed(3)} x the weights once, and the keys and values of ${keys} tokens`;
  row('read', read / 1e6, 'MB per token', reach);
  return figures;
}

async function bundled() {
  const tiny = folderFiles(tinyFolder);
  let sizeBytes = 0;
  for (const shard of ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors']) {
    const source = await tiny.open(shard);
    sizeBytes += source?.sizeBytes ?? 0;
    await source?.close();
  }
  return { files: tiny, bytes: sizeBytes, label: 'm2-tiny' };
}

/** Qwen2.5-0.5B's decoder shape with a minimal vision tower. */
async function qwenHalfBillion() {
  const { files, bytes } = randomModel('0.5b', layers);
  const label = `Qwen2.5-0.5B's shape, ${layers} layers, random bf16 weights in memory`;
  return { files: repeatedWeights(files), bytes, label };
}

/**
 * @param {string} name
 * @param {number} value
 * @param {string} unit
 */
function row(name, value, unit, note = '') {
  const digits = value >= 100 ? 0 : value >= 1 ? 1 : 3;
  console.log(`  ${name.padEnd(11)} ${value.toFixed(digits).padStart(8)} ${unit.padEnd(13)} ${note}`);
}
