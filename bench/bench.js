// Load, prefill and decode of one model on this machine's adapter, with the fast kernels and, in turn, with the plain ones.
//
//   npm run bench                                    m2-tiny, with a picture
//   npm run bench -- --shape 0.5b --layers 4         random weights of Qwen2.5-0.5B's shape, four of its 24 layers
//   npm run bench -- --kernel-set fast               one set alone; --json FILE stores the figures
//   npm run bench -- --precision fast                the fast set with the decoder in 8-bit integers (the tower in f16 on GPUs)
//
// Prints the median of --runs runs after one warm-up, and the ratio of the two sets run by run. A benchmark prints; tests check.

// @ts-check
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  generatedFiles,
  generatedTensorsFor,
  M2Reasoning,
  memorySource,
  openGpu,
  parseModelConfig,
  passCosts,
  positionsFor,
} from 'm2-reasoning';
import { folderFiles } from 'm2-reasoning/node';

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

const ENCODED_RUNS = 61; // of a pass that is compiled and bound; it has room for the tokens of 64
const tinyFolder = fileURLToPath(new URL('../weights/m2-tiny', import.meta.url));
const tiny = folderFiles(tinyFolder);

const gpu = await openGpu();
const { files, bytes, label } = await (values.shape === '0.5b' ? qwenHalfBillion() : bundled());
/** @type {Record<string, { model: M2Reasoning, loadSeconds: number, measured: Awaited<ReturnType<typeof runOnce>>[] }>} */
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

const inputs = values.shape === '0.5b' ? randomPrompt(prefillTokens) : await examplePrompt();
const prompt = inputs.inputIds.length;
for (let run = 0; run <= runs; run++) {
  for (const set of sets) {
    const measured = await runOnce(bySet[set].model);
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
  const ideal = decodeBytes(keys);
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
  row('encode', figures.encodeMsPerToken, 'ms per token', 'JavaScript alone, the GPU idle');
  const reach = `${(read / ideal).toFixed(3)} x the weights once, and the keys and values of ${keys} tokens`;
  row('read', read / 1e6, 'MB per token', reach);
  return figures;
}

/** @param {M2Reasoning} running */
async function runOnce(running) {
  const startedAt = performance.now();
  let encodeMs = 0;
  let prefilledAt = 0;
  let endedAt = 0;
  let decodedFrom = 0; // the first decode step binds: its token is not counted
  let dispatchesFrom = 0;
  let dispatches = 0;
  let tokens = 0;
  let bytesRead = 0; // by the last decode step, as the kernels' contracts have it
  await running.forward(inputs, {
    steps: 2 + decodeTokens,
    onPass: async (pass) => {
      if (pass.label !== 'decode') return;
      endedAt = performance.now();
      dispatches = gpu.counters.dispatches - dispatchesFrom;
      for (const cost of await passCosts(pass)) bytesRead += cost.bytesRead;
      encodeMs = await encodeTime(pass);
    },
    onToken: () => {
      tokens++;
      if (tokens === 1) prefilledAt = performance.now();
      if (tokens !== 2) return;
      decodedFrom = performance.now();
      dispatchesFrom = gpu.counters.dispatches;
    },
  });
  return {
    prefill: (prefilledAt - startedAt) / 1000,
    perToken: (endedAt - decodedFrom) / 1000 / decodeTokens,
    total: (endedAt - startedAt) / 1000,
    dispatches: dispatches / decodeTokens,
    encodeMs,
    bytesRead,
    keys: prompt + 1 + decodeTokens,
  };
}

/**
 * Milliseconds of JavaScript to encode one run of a pass. What is encoded is thrown away: a software adapter that ran it would
 * take the core away.
 *
 * @param {import('m2-reasoning').Pass} pass
 */
async function encodeTime(pass) {
  const { device } = gpu;
  const createCommandEncoder = device.createCommandEncoder.bind(device);
  const submit = gpu.submit.bind(gpu);
  let begun = 0;
  /** @type {number[]} */
  const times = [];
  device.createCommandEncoder = (descriptor) => {
    begun = performance.now();
    return createCommandEncoder(descriptor);
  };
  gpu.submit = () => {
    times.push(performance.now() - begun);
  };
  await gpu.idle();
  for (let run = 0; run < ENCODED_RUNS; run++) await pass.submit();
  device.createCommandEncoder = createCommandEncoder;
  gpu.submit = submit;
  return median(times);
}

async function bundled() {
  let sizeBytes = 0;
  for (const shard of ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors']) {
    const source = await tiny.open(shard);
    sizeBytes += source?.sizeBytes ?? 0;
    await source?.close();
  }
  return { files: tiny, bytes: sizeBytes, label: 'm2-tiny' };
}

/** Qwen2.5-0.5B's decoder behind the smallest vision tower, weights from the generator of the goldens. */
async function qwenHalfBillion() {
  const config = JSON.parse(readFileSync(`${tinyFolder}/config.json`, 'utf8'));
  Object.assign(config.llm_config, {
    hidden_size: 896,
    num_hidden_layers: layers,
    num_attention_heads: 14,
    num_key_value_heads: 2,
    intermediate_size: 4864,
    vocab_size: 151_936,
    rope_theta: 1e6,
    tie_word_embeddings: true,
    rope_scaling: { type: 'mrope', mrope_section: [8, 12, 12] },
  });
  Object.assign(config.vision_config, { depth: 1, fullatt_block_indexes: [0] });
  const tensors = generatedTensorsFor(
    parseModelConfig(new TextEncoder().encode(JSON.stringify(config)), 'config.json'),
  );
  const values = tensors.reduce(
    (sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1),
    0,
  );
  return {
    files: await inMemory(generatedFiles({ config, tensors, otherFiles: tiny })),
    bytes: 2 * values,
    label: `Qwen2.5-0.5B's shape, ${layers} layers, random bf16 weights in memory`,
  };
}

/**
 * The weights made once, before loading is timed.
 * @param {import('m2-reasoning').ModelFiles} files
 * @returns {Promise<import('m2-reasoning').ModelFiles>}
 */
async function inMemory(files) {
  const weights = await files.open('model.safetensors');
  if (weights === null) return files;
  const bytes = new Uint8Array(weights.sizeBytes);
  for (let offset = 0; offset < bytes.length; offset += 2 ** 26) {
    await weights.readInto(offset, bytes.subarray(offset, offset + 2 ** 26));
  }
  const held = memorySource(weights.name, bytes);
  return { ...files, open: async (name) => (name === weights.name ? held : files.open(name)) };
}

/** @param {number} tokens */
function randomPrompt(tokens) {
  const inputIds = Array.from({ length: tokens }, (_, i) => (i * 7919) % 1000);
  return { inputIds, images: [], positions: positionsOf(inputIds, []) };
}

async function examplePrompt() {
  const [{ image, question, system }] = JSON.parse(
    readFileSync(`${tinyFolder}/examples/examples.json`, 'utf8'),
  );
  const { inputIds, images } = await model.prepare([
    { role: 'system', content: system },
    {
      role: 'user',
      content: [
        { type: 'image', image: `${tinyFolder}/examples/${image}` },
        { type: 'text', text: question },
      ],
    },
  ]);
  return {
    inputIds,
    images,
    positions: positionsOf(inputIds, images),
  };
}

/**
 * @param {readonly number[]} inputIds
 * @param {readonly { gridThw: readonly [number, number, number] }[]} images
 */
function positionsOf(inputIds, images) {
  const { llm, vision } = model.config;
  return positionsFor(
    llm.rope,
    inputIds,
    images,
    { ...llm, spatialMergeSize: vision.spatialMergeSize },
    'reference',
  );
}

/**
 * What a decode step has to read: every decoder weight once (of the embedding table one row, but all of it as a tied head), and
 * keys and values.
 *
 * @param {number} keys
 */
function decodeBytes(keys) {
  const { hiddenSize, intermediateSize, numHiddenLayers, numKeyValueHeads, headDim, vocabSize } =
    model.config.llm;
  const keyDim = numKeyValueHeads * headDim;
  const layer = hiddenSize * (2 * hiddenSize + 2 * keyDim + 3 * intermediateSize + 3) + 2 * keyDim;
  const weights = numHiddenLayers * layer + hiddenSize * (vocabSize + 2);
  return 2 * weights + 4 * 2 * numHiddenLayers * keyDim * keys;
}

/** @param {number[]} numbers */
function median(numbers) {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
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
