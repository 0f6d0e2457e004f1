// Times the operations of the 7B model on the adapter, and compares them with the adapter's peak rates.

// @ts-check
import { freeTensors, kernels, measureAdapter, timeCalls, upload, zeros } from 'm2-reasoning';
import { freeLinearWeights, linearWays, linearWeights, numbers } from '../linear.js';
import { attentionWays } from './attention.js';
import { percent, short } from './report.js';

/** @typedef {import('./part.js').PartRun} PartRun */
/** @typedef {import('m2-reasoning').Pass} Pass */

const COLD_BYTES = 256 * 2 ** 20; // more than a GPU's cache
const CALLS = 7; // the minimum number of calls to time one

/** The rates of a copy and of multiply-adds, and the cost of a dispatch. @param {PartRun} run */
export async function rates(run) {
  const { copyGbPerS, multiplyAddGflopPerS } = await measureAdapter(run.gpu);
  const [hidden, delta] = ['hidden', 'delta'].map((name) => zeros(run.gpu, 'f32', [1, 4], name));
  const [{ usPerCall }] = await timeCalls(
    run.gpu,
    [(pass) => void kernels.add(pass, { hidden, delta })],
    roundsOf(run),
  );
  await freeTensors(run.gpu, [hidden, delta]);
  run.add(
    { copyGbPerS, multiplyAddGflopPerS, usPerDispatch: usPerCall },
    `copy ${short(copyGbPerS)} GB/s, multiply-adds ${short(multiplyAddGflopPerS)} GFLOP/s, ${short(usPerCall)} µs a dispatch`,
  );
}

/** Matrix-vector and matrix-matrix products at the 7B's sizes. @param {PartRun} run */
export async function linear(run) {
  const layers = /** @type {const} */ ([
    ['qkv', 4608, 3584],
    ['down', 3584, 18_944],
    ['gate and up', 37_888, 3584],
    ['head', 152_064, 3584],
  ]);
  const time = await timer(run);
  for (const [name, outDim, inDim] of run.quick ? /** @type {const} */ ([['qkv', 256, 128]]) : layers) {
    if (run.isLate(name)) return;
    const weights = await linearWeights(run.gpu, outDim, inDim, copiesOf(run, 2 * outDim * inDim));
    for (const rows of run.quick ? [1, 16] : name === 'head' ? [1] : [1, 16, 128, 512, 1024]) {
      const operation = `${name}, ${rows} row${rows > 1 ? 's' : ''}`;
      if (run.isLate(operation)) return;
      const x = upload(run.gpu, numbers(rows * inDim), [rows, inDim], 'x'); // [rows, inDim]
      await time(operation, 2 * rows * outDim * inDim, linearWays(weights, x));
      await freeTensors(run.gpu, [x]);
    }
    await freeLinearWeights(weights);
  }
}

/** Attention with the 7B's heads: one token over many keys, and a prompt. @param {PartRun} run */
export async function attention(run) {
  const time = await timer(run);
  for (const keys of run.quick ? [128] : [1024, 4096])
    await attend(1, keys, `decode attention, ${keys} keys`);
  for (const tokens of run.quick ? [4] : [256, 1024]) {
    await attend(tokens, tokens, `prefill attention, ${tokens} tokens`);
  }

  /** @param {number} tokens @param {number} keys @param {string} operation */
  async function attend(tokens, keys, operation) {
    if (run.isLate(operation)) return;
    const { ways, flops, tensors } = attentionWays(run.gpu, tokens, keys, copiesOf(run, 4096 * keys));
    await time(operation, flops, ways);
    await freeTensors(run.gpu, tensors);
  }
}

/** Choosing a token from the 7B's vocabulary. @param {PartRun} run */
export async function choosing(run) {
  const time = await timer(run);
  const vocab = run.quick ? 1000 : 152_064;
  const values = numbers(vocab).map((value) => 10 * value);
  const logits = upload(run.gpu, values, [1, vocab], 'logits'); // [1, vocab]
  const length = upload(run.gpu, Uint32Array.of(100), [1], 'length'); // [1]
  const largest = { ids: zeros(run.gpu, 'u32', [10], 'ids'), values: zeros(run.gpu, 'f32', [10], 'values') }; // [10] each
  const sampling = { temperature: 0.9, topK: 40, topP: 0.9, minP: 0, seedLow: 1, seedHigh: 2 };
  /** @type {Record<string, (pass: Pass) => void>} */
  const calls = {
    argmax: (pass) => void kernels.argmax(pass, { logits }),
    sampleToken: (pass) => void kernels.sampleToken(pass, { logits, length }, sampling),
    topK: (pass) => void kernels.topK(pass, { scores: logits, ...largest }),
  };
  for (const [name, record] of Object.entries(calls)) {
    await time(`${name} of ${vocab}`, null, [{ name, bytes: 4 * vocab, record }]);
  }
  await freeTensors(run.gpu, [logits, length, ...Object.values(largest)]);
}

/** @param {PartRun} run @returns {{ rounds: number, roundMs: number }} */
function roundsOf({ quick }) {
  return quick ? { rounds: 1, roundMs: 1 } : { rounds: 5, roundMs: 40 };
}

/** The number of copies of `bytes` that exceeds a GPU's cache. @param {PartRun} run @param {number} bytes */
function copiesOf({ quick, gpu }, bytes) {
  return quick || gpu.isSoftware ? 1 : Math.ceil(COLD_BYTES / bytes);
}

/**
 * @param {PartRun} run
 * @returns a function that times all ways to compute an operation (the plain one first) and compares them with the adapter's rates
 */
async function timer(run) {
  const { gpu } = run;
  const { copyGbPerS, multiplyAddGflopPerS } = await run.rates();
  /** @type {Map<string, number>} */
  const secondsPerFlop = new Map(); // of each way at the previous size, to estimate the next

  /** @param {string} operation @param {number | null} flops @param {readonly Omit<import('../linear.js').Way, 'checked'>[]} ways */
  return async (operation, flops, ways) => {
    /** @type {number | null} */
    let plainUs = null;
    const leftOut = [];
    for (const { name, bytes, record } of ways) {
      const expected = CALLS * (flops ?? 0) * (secondsPerFlop.get(name) ?? 0);
      if (expected > Math.min(run.secondsLeft, run.seconds / 10)) {
        leftOut.push(name);
        continue;
      }
      try {
        const [{ usPerCall, calls, clock }] = await timeCalls(gpu, [record], roundsOf(run));
        if (flops) secondsPerFlop.set(name, usPerCall / 1e6 / flops);
        if (name === ways[0].name) plainUs = usPerCall;
        const gbPerS = bytes / usPerCall / 1e3;
        const gflopPerS = flops && flops / usPerCall / 1e3;
        const ofCopy = gbPerS / copyGbPerS;
        const ofMultiplyAdd = gflopPerS && gflopPerS / multiplyAddGflopPerS;
        const ofRoof = Math.max(ofCopy, ofMultiplyAdd ?? 0);
        const timesPlain = plainUs && plainUs / usPerCall;
        const speeds = { usPerCall, gbPerS, gflopPerS, ofCopy, ofMultiplyAdd, ofRoof, timesPlain };
        run.add(
          { operation, way: name, bytes, flops, ...speeds, calls, clock },
          `${operation.padEnd(30)} ${name.padEnd(46)} ${short(usPerCall).padStart(8)} µs ` +
            `${short(gbPerS).padStart(7)} GB/s (${percent(ofCopy)} of copy) ` +
            `${short(gflopPerS).padStart(7)} GFLOP/s (${percent(ofMultiplyAdd)} of f32)  x ${short(timesPlain)} of plain`,
        );
      } catch (error) {
        run.problem(`${operation}, ${name}: ${error instanceof Error ? error.message : error}`);
        gpu.assertHealthy(); // throws if the device is lost, and with it all tensors
      }
    }
    if (leftOut.length > 0) run.note(`left out of ${operation}, they take too long: ${leftOut.join(', ')}`);
  };
}
