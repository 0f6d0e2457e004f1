// Times a prompt and the following tokens, for bench.js and for the model parts of gpu.js.

// @ts-check
import { readFileSync } from 'node:fs';
import { passCosts, positionsFor } from 'm2-reasoning';
import { promptOf, tinyFolder } from './randomModel.js';

const ENCODED_RUNS = 61; // of a pass that is already compiled and bound; its read-back has room for 64

/** @typedef {Awaited<ReturnType<typeof runOnce>>} Run */

/**
 * @param {import('m2-reasoning').M2Reasoning} model
 * @param {import('m2-reasoning').ForwardInputs} inputs
 * @param {number} decodeTokens
 */
export async function runOnce(model, inputs, decodeTokens) {
  const { gpu } = model;
  const startedAt = performance.now();
  let encodeMs = 0;
  let prefilledAt = 0;
  let endedAt = 0;
  let decodedFrom = 0; // the first decode step also binds, so its token is not counted
  let dispatchesFrom = 0;
  let dispatches = 0;
  let tokens = 0;
  let bytesRead = 0; // by the last decode step, according to the kernels' declarations
  await model.forward(inputs, {
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
    keys: inputs.inputIds.length + 1 + decodeTokens,
  };
}

/**
 * Milliseconds of JavaScript to encode one run of a pass. The commands are thrown away, because a software adapter would compete
 * for the core while running them.
 *
 * @param {import('m2-reasoning').Pass} pass
 */
async function encodeTime(pass) {
  const { gpu } = pass;
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

/**
 * An arbitrary text prompt.
 *
 * @param {import('m2-reasoning').M2Reasoning} model
 * @param {number} tokens
 */
export function randomPrompt(model, tokens) {
  const inputIds = promptOf(tokens);
  return { inputIds, images: [], positions: positionsOf(model, inputIds, []) };
}

/** The first example of m2-tiny, with its image. @param {import('m2-reasoning').M2Reasoning} model */
export async function examplePrompt(model) {
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
  return { inputIds, images, positions: positionsOf(model, inputIds, images) };
}

/**
 * @param {import('m2-reasoning').M2Reasoning} model
 * @param {readonly number[]} inputIds
 * @param {readonly { gridThw: readonly [number, number, number] }[]} images
 */
function positionsOf({ config: { llm, vision } }, inputIds, images) {
  const tokenKinds = { ...llm, spatialMergeSize: vision.spatialMergeSize };
  return positionsFor(llm.rope, inputIds, images, tokenKinds, 'reference');
}

/**
 * The bytes that a decode step must read: every decoder weight once (one row of the embedding table, and all of it as the tied
 * head), and keys and values.
 *
 * @param {import('m2-reasoning').ModelConfig} config
 * @param {number} keys
 * @param {number} [bytesPerWeight] in the layers; the head is in bf16
 */
export function decodeBytes({ llm }, keys, bytesPerWeight = 2) {
  const { hiddenSize, numHiddenLayers, numKeyValueHeads, headDim, vocabSize } = llm;
  const cached = 2 * numHiddenLayers * numKeyValueHeads * headDim * keys;
  return bytesPerWeight * numHiddenLayers * layerWeights(llm) + 2 * hiddenSize * (vocabSize + 2) + 4 * cached;
}

/**
 * The operations of a text prefill: linear layers and attention of all layers, and the head on the last row.
 *
 * @param {import('m2-reasoning').ModelConfig} config
 * @param {number} tokens
 */
export function prefillFlops({ llm }, tokens) {
  const { hiddenSize, numHiddenLayers, numAttentionHeads, headDim, vocabSize } = llm;
  const attention = 4 * numAttentionHeads * headDim * ((tokens * (tokens + 1)) / 2);
  return numHiddenLayers * (2 * tokens * layerWeights(llm) + attention) + 2 * hiddenSize * vocabSize;
}

/** The number of weights in one decoder layer. @param {import('m2-reasoning').ModelConfig['llm']} llm */
export function layerWeights({ hiddenSize, intermediateSize, numKeyValueHeads, headDim }) {
  const keyDim = numKeyValueHeads * headDim;
  return hiddenSize * (2 * hiddenSize + 2 * keyDim + 3 * intermediateSize + 3) + 2 * keyDim;
}

/** @param {readonly number[]} numbers */
export function median(numbers) {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
}
