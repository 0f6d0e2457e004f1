// Prefill and decode of whole models on the adapter: m2-tiny, and random weights at the widths of Qwen2.5-0.5B and of the 7B.

// @ts-check
import { M2Reasoning } from 'm2-reasoning';
import * as endToEnd from '../endToEnd.js';
import { randomModel, repeatedWeights, tinyFolder } from '../randomModel.js';
import { percent, short } from './report.js';

/** @typedef {import('./part.js').PartRun} PartRun */
/** @typedef {{ name: string, options: import('m2-reasoning').KernelOptions, bytesPerWeight: number }} Variant */
/** @typedef {Awaited<ReturnType<typeof measure>> & { loadSeconds: number, extrapolated: boolean }} Measured */
/** @typedef {{ decodeMsPerLayer: number, prefillMsPerLayer: number }} PerLayer */

/** @type {Variant} */
const FAST = { name: 'fast', options: { kernelSet: 'fast' }, bytesPerWeight: 2 };
/** @type {Variant} */
const PLAIN = { name: 'plain', options: { kernelSet: 'plain' }, bytesPerWeight: 2 };
/** @type {Variant} */
const INT8 = { name: '8-bit', options: { precision: 'fast' }, bytesPerWeight: 1 + 4 / 32 }; // one scale per 32 weights
const SLOW_GFLOP_PER_S = 1000; // slower (software) adapters get shorter prompts

/** The bundled model with its first example, an image and a question. @param {PartRun} run */
export async function tiny(run) {
  for (const variant of [FAST, PLAIN]) {
    const model = await M2Reasoning.load(tinyFolder, { ...variant.options, gpu: run.gpu });
    const inputs = await endToEnd.examplePrompt(model);
    const measured = await measure(model, inputs, { decodeTokens: run.quick ? 8 : 64, runs: 3 });
    await report(run, 'm2-tiny', variant, { ...measured, loadSeconds: 0, extrapolated: false });
    await model.destroy();
  }
}

/** @param {PartRun} run */
export const halfBillion = (run) => widths(run, '0.5b');
/** @param {PartRun} run */
export const sevenBillion = (run) => widths(run, '7b');

/**
 * Measures one layer, then as many layers as time and memory allow. The difference gives the time of a layer, from which the time
 * of all layers is extrapolated if some are missing.
 *
 * @param {PartRun} run
 * @param {'0.5b' | '7b'} width
 */
async function widths(run, width) {
  const shape = run.quick ? 'm2-tiny' : width;
  const { config } = randomModel(shape);
  const all = config.llm.numHiddenLayers;
  for (const variant of [FAST, INT8, PLAIN]) {
    if (run.isLate(variant.name)) return;
    const one = await measureLayers(run, shape, variant, 1);
    if (one === null) return;
    await report(run, shape, variant, one);
    /** @type {Measured | null} */
    let many = null;
    let layers = run.quick ? 2 : Math.min(all, layersInTime(one, 0.6 * run.secondsLeft));
    while (layers > 1 && many === null) {
      many = await measureLayers(run, shape, variant, layers);
      if (many === null) layers = Math.floor(layers / 2);
    }
    if (many === null) {
      run.note(`${shape}, ${variant.name}: there was room for only one layer`);
      continue;
    }
    const perToken = (many.perToken - one.perToken) / (layers - 1);
    const prefill = (many.prefill - one.prefill) / (layers - 1);
    const perLayer = { decodeMsPerLayer: 1000 * perToken, prefillMsPerLayer: 1000 * prefill };
    await report(run, shape, variant, many, perLayer);
    if (layers === all) continue;
    if (!(perToken > 0 && prefill > 0)) {
      run.note(`${shape}, ${variant.name}: the times are too noisy to extrapolate from`);
      continue;
    }
    const times = {
      perToken: many.perToken + (all - layers) * perToken,
      prefill: many.prefill + (all - layers) * prefill,
    };
    await report(run, shape, variant, { ...many, ...times, config, extrapolated: true }, perLayer);
  }
}

/** The number of layers that can be loaded and run in `seconds`, estimated from one layer. @param {Measured} one @param {number} seconds */
function layersInTime({ config: { llm }, loadSeconds, runSeconds }, seconds) {
  const inLayers =
    endToEnd.layerWeights(llm) / (endToEnd.layerWeights(llm) + 2 * llm.hiddenSize * llm.vocabSize);
  return Math.floor((seconds - loadSeconds) / (inLayers * loadSeconds + runSeconds)); // an overestimate: the run includes the head
}

/**
 * @param {PartRun} run
 * @param {import('../randomModel.js').ShapeName} shape
 * @param {Variant} variant
 * @param {number} layers
 * @returns {Promise<Measured | null>} null if the GPU has too little memory
 */
async function measureLayers(run, shape, { name, options }, layers) {
  const isSlow = run.quick || (await run.rates()).multiplyAddGflopPerS < SLOW_GFLOP_PER_S;
  const { files, bytes } = randomModel(shape, layers);
  console.log(`  ${shape}, ${name}: loading ${layers} layers, ${short(bytes / 1e9)} GB`);
  try {
    const startedAt = performance.now();
    const model = await M2Reasoning.load(repeatedWeights(files), { ...options, gpu: run.gpu });
    const loadSeconds = (performance.now() - startedAt) / 1000;
    const inputs = endToEnd.randomPrompt(model, isSlow ? 64 : 512);
    const measured = await measure(
      model,
      inputs,
      isSlow ? { decodeTokens: 8, runs: 1 } : { decodeTokens: 32, runs: 3 },
    );
    await model.destroy();
    return { ...measured, loadSeconds, extrapolated: false };
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'GPU_OUT_OF_MEMORY')) throw error;
    run.note(`${shape}, ${name}: no memory for ${layers} layers`);
    await run.revive();
    return null;
  }
}

/**
 * @param {M2Reasoning} model
 * @param {import('m2-reasoning').ForwardInputs} inputs
 * @param {{ decodeTokens: number, runs: number }} options
 */
async function measure(model, inputs, { decodeTokens, runs }) {
  await endToEnd.runOnce(model, inputs, decodeTokens); // compiles
  const startedAt = performance.now();
  const measured = [];
  for (let run = 0; run < runs; run++) measured.push(await endToEnd.runOnce(model, inputs, decodeTokens));
  const [{ keys, dispatches, bytesRead }] = measured;
  return {
    config: model.config,
    tokens: inputs.inputIds.length,
    images: inputs.images.length,
    prefill: endToEnd.median(measured.map(({ prefill }) => prefill)),
    perToken: endToEnd.median(measured.map(({ perToken }) => perToken)),
    encodeMs: endToEnd.median(measured.map(({ encodeMs }) => encodeMs)),
    ...{ keys, dispatches, bytesRead },
    runSeconds: ((performance.now() - startedAt) / 1000) * (1 + 1 / runs), // including the first run, but not its compilation
  };
}

/** @param {PartRun} run @param {string} model @param {Variant} variant @param {Measured} measured @param {PerLayer} [perLayer] */
async function report(run, model, variant, measured, perLayer) {
  const { copyGbPerS, multiplyAddGflopPerS } = await run.rates();
  const { config, tokens, images, prefill, perToken, keys, extrapolated } = measured;
  const layers = config.llm.numHiddenLayers;
  const idealBytes = endToEnd.decodeBytes(config, keys, variant.bytesPerWeight);
  const gflops = endToEnd.prefillFlops(config, tokens) / 1e9; // without the vision tower
  const ofMultiplyAdd = images > 0 ? null : gflops / prefill / multiplyAddGflopPerS;
  const ofBound = images > 0 ? null : idealBytes / 1e9 / perToken / copyGbPerS; // m2-tiny fits in a cache
  run.add(
    {
      model,
      variant: variant.name,
      layers,
      extrapolated,
      promptTokens: tokens,
      prefillMs: 1000 * prefill,
      prefillTokensPerS: tokens / prefill,
      prefillOfMultiplyAdd: ofMultiplyAdd,
      decodeMs: 1000 * perToken,
      decodeTokensPerS: 1 / perToken,
      decodeOfBound: ofBound,
      idealBytesPerToken: idealBytes,
      bytesReadPerToken: extrapolated ? null : measured.bytesRead,
      dispatchesPerToken: extrapolated ? null : measured.dispatches,
      encodeMsPerToken: extrapolated ? null : measured.encodeMs,
      loadSeconds: measured.loadSeconds,
      ...perLayer,
    },
    `${model}, ${variant.name}, ${layers} layers${extrapolated ? ', EXTRAPOLATED' : ''}: ` +
      `prefill ${short(tokens / prefill)} tokens/s of ${tokens} (${percent(ofMultiplyAdd)} of f32), ` +
      `decode ${short(1 / perToken)} tokens/s (${percent(ofBound)} of the bandwidth bound)` +
      (perLayer
        ? `; a layer ${short(perLayer.prefillMsPerLayer)} and ${short(perLayer.decodeMsPerLayer)} ms`
        : ''),
  );
}
