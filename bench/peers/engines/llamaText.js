// llama.cpp on a text model, through node-llama-cpp: on Vulkan or on the CPU.

// @ts-check
import { availableParallelism } from 'node:os';
import { promptOf } from '../../randomModel.js';
import { importPeer } from '../importPeer.js';
import { timedTokens } from './timedTokens.js';

const CONTEXT = 256; // tokens; enough for every run

/** @param {{ gguf: string, gpu: 'vulkan' | false }} options */
export async function open({ gguf, gpu }) {
  const { getLlama } = await importPeer('node-llama-cpp');
  /** @type {string[]} */
  const log = [];
  const llama = await getLlama({
    gpu,
    build: 'never',
    skipDownload: true,
    logLevel: 'debug',
    logger: (/** @type {string} */ _level, /** @type {string} */ message) => log.push(message),
  });
  const model = await llama.loadModel({ modelPath: gguf, gpuLayers: gpu ? 'max' : 0 });
  // By default it uses at least 4 threads. More threads than cores wait for each other by spinning, for seconds per token.
  const threads = gpu ? 1 : await fasterThreads(model);
  const sequence = await sequenceOf(model, threads);
  const devices = gpu ? await llama.getGpuDeviceNames() : [];
  // Unless GGML_VK_VISIBLE_DEVICES names it, ggml silently skips a software adapter. So check where the KV cache is.
  if (gpu && (devices.length === 0 || (await cacheDevice(log)) !== 'Vulkan0'))
    throw new Error('llama.cpp does not run on Vulkan although it was asked to');
  return {
    info: {
      device: gpu ? devices.join(', ') : 'CPU',
      placement: gpu ? weightPlacement(log) : `threads: ${threads}`,
    },
    /** @param {{ promptTokens: number, steps: number }} run */
    generate: (run) => generate(sequence, run),
  };
}

/** The device of the KV cache according to the log. Log lines arrive some time after the call. @param {string[]} log */
async function cacheDevice(log) {
  for (let waits = 0; waits < 100; waits++) {
    const match = /(\S+) KV buffer size/.exec(log.join('\n'));
    if (match) return match[1];
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return null;
}

/** The devices of the weights: those larger than one binding stay on the CPU, and so do their products. @param {string[]} log */
function weightPlacement(log) {
  const sizes = [...log.join('\n').matchAll(/(\S+) model buffer size = +(\d+)/g)];
  return `weights: ${sizes.map(([, device, mebibytes]) => `${device} ${mebibytes} MiB`).join(', ')}`;
}

/** One thread, or one per core: whichever is faster at the moment. @param {any} model */
async function fasterThreads(model) {
  let best = { threads: 1, ms: Infinity };
  for (const threads of [1, availableParallelism()]) {
    const sequence = await sequenceOf(model, threads);
    const { prefillMs, msPerToken } = await generate(sequence, { promptTokens: 16, steps: 6 });
    const ms = prefillMs + 16 * (msPerToken ?? 0);
    if (ms < best.ms) best = { threads, ms };
    await sequence.context.dispose();
  }
  return best.threads;
}

/** @param {any} model @param {number} threads */
async function sequenceOf(model, threads) {
  const context = await model.createContext({
    contextSize: CONTEXT,
    batchSize: CONTEXT,
    flashAttention: true,
    threads,
  });
  return context.getSequence();
}

/** @param {any} sequence @param {{ promptTokens: number, steps: number }} run */
async function generate(sequence, { promptTokens, steps }) {
  await sequence.clearHistory();
  return timedTokens(async (onToken) => {
    let left = steps;
    const tokens = sequence.evaluate(promptOf(promptTokens), { temperature: 0, yieldEogToken: true });
    for await (const token of tokens) {
      onToken(token);
      if (--left === 0) break;
    }
  });
}
