// The first figures to beat: load, prefill and decode of one model on this machine's adapter.
//
//   npm run bench                                    m2-tiny, with a picture
//   npm run bench -- --shape 0.5b --layers 4         random weights of Qwen2.5-0.5B's shape, four of its 24 layers
//
// Prints the median of --runs runs after one warm-up. A benchmark prints; tests check.

// @ts-check
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  generatedFiles,
  generatedTensorsFor,
  M2Reasoning,
  openGpu,
  parseModelConfig,
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
  },
});
const [layers, prefillTokens, decodeTokens, runs] = ['layers', 'prefill', 'decode', 'runs'].map((name) => {
  const value = Number(values[/** @type {'layers'} */ (name)]);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new RangeError(`--${name} should be a whole number of at least 1`);
  return value;
});

const tinyFolder = fileURLToPath(new URL('../weights/m2-tiny', import.meta.url));
const tiny = folderFiles(tinyFolder);

const gpu = await openGpu();
const { files, bytes, label } = values.shape === '0.5b' ? qwenHalfBillion() : await bundled();
const loadStarted = performance.now();
const model = await M2Reasoning.load(files, { gpu });
const loadSeconds = (performance.now() - loadStarted) / 1000;

const inputs = values.shape === '0.5b' ? randomPrompt(prefillTokens) : await examplePrompt();
const prompt = inputs.inputIds.length;
const measured = [];
for (let run = 0; run <= runs; run++) measured.push(await runOnce());
const counted = measured.slice(1); // the first run compiles

console.log(`${label} on ${gpu.description}`);
row(
  'load',
  bytes / loadSeconds / 1e9,
  'GB/s',
  `${(bytes / 1e6).toFixed(1)} MB in ${loadSeconds.toFixed(2)} s`,
);
row(
  'prefill',
  prompt / median(counted.map(({ prefill }) => prefill)),
  'tokens/s',
  `${prompt} tokens${inputs.images.length ? ', vision tower included' : ''}`,
);
row('decode', 1 / median(counted.map(({ perToken }) => perToken)), 'tokens/s', `${decodeTokens} tokens`);
row('dispatches', counted[0].dispatches, 'per token');
row(
  'bytes read',
  decodeBytes() / 1e6,
  'MB per token',
  `weights once, and keys and values of ${prompt + decodeTokens} tokens`,
);

await model.destroy();
gpu.destroy();

async function runOnce() {
  const times = [performance.now()];
  const dispatches = [gpu.counters.dispatches];
  await model.forward(inputs, {
    steps: 1 + decodeTokens,
    onToken: () => {
      times.push(performance.now());
      dispatches.push(gpu.counters.dispatches);
    },
  });
  const last = times.length - 1;
  return {
    prefill: (times[1] - times[0]) / 1000,
    perToken: (times[last] - times[2]) / 1000 / (last - 2), // the first step binds
    dispatches: dispatches[last] - dispatches[last - 1],
  };
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
function qwenHalfBillion() {
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
  const files = generatedFiles({ config, tensors, otherFiles: tiny });
  return {
    files,
    bytes: 2 * values,
    label: `Qwen2.5-0.5B's shape, ${layers} layers, random bf16 weights (load includes making them)`,
  };
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

/** Every decoder weight once (of the embedding table one row, but all of it as a tied head), and the cache. */
function decodeBytes() {
  const { hiddenSize, intermediateSize, numHiddenLayers, numKeyValueHeads, headDim, vocabSize } =
    model.config.llm;
  const keyDim = numKeyValueHeads * headDim;
  const layer = hiddenSize * (2 * hiddenSize + 2 * keyDim + 3 * intermediateSize + 3) + 2 * keyDim;
  const weights = numHiddenLayers * layer + hiddenSize * (vocabSize + 2);
  return 2 * weights + 4 * 2 * numHiddenLayers * keyDim * (prompt + decodeTokens);
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
