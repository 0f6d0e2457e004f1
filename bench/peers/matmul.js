// A large f32 matrix product: our kernels compared with onnxruntime and TensorFlow.js.

// @ts-check
import { attempt, interleave, openEngines } from './interleave.js';
import { expectedRows } from './matmulInputs.js';

/** The kernels for the rows of m2-reasoning: that of the fast set for this adapter, and the plain one. */
const FAST_KERNEL = 'fast';
const PLAIN_KERNEL = 'plain';

const MAX_ERROR = 1e-5; // relative to the largest value; f32 sums of 1024 products are far below

/**
 * @param {{ size: number, chain: number, rounds: number, warmups: number }} settings
 * @returns {Promise<{ measures: import('./run.js').Measure[], info: any }>}
 */
export async function measureMatmul({ size, chain, rounds, warmups }) {
  /** @param {string} kernel @param {'bf16' | 'f32'} weightDtype */
  const ours = (kernel, weightDtype) => ({
    name: `m2-reasoning ${kernel} matmul, ${weightDtype} weights`,
    module: 'oursMatmul.js',
    options: { size, chain, kernel, weightDtype },
  });
  /** @param {'webgpu' | 'cpu'} provider */
  const onnxruntime = (provider) => ({
    name: `onnxruntime ${provider === 'cpu' ? 'CPU' : 'WebGPU'}, f32`,
    module: 'onnxruntimeMatmul.js',
    options: { size, chain, provider },
  });
  const engines = await openEngines([
    ours(FAST_KERNEL, 'bf16'),
    ours(PLAIN_KERNEL, 'bf16'),
    onnxruntime('webgpu'),
    { name: 'tfjs WebGPU, f32', module: 'tfjsMatmul.js', options: { size, chain } },
    onnxruntime('cpu'),
  ]);
  try {
    const expected = expectedRows(size, chain);
    for (const engine of engines) {
      await attempt(engine, async () => {
        const error = relativeError((await engine.process.call('run', {})).values, expected);
        engine.agreement = `error ${error.toExponential(1)}`;
        if (!(error <= MAX_ERROR)) throw new Error(`wrong values: error ${error}, not timed`);
      });
    }
    const flops = 2 * size ** 3 * chain;
    const rows = await interleave(engines, { rounds, warmups }, async (process) => {
      return flops / (await process.call('run', {})).ms / 1e6;
    });
    const name = `matmul ${size}³`;
    const note = `f32 activations, ${chain} products in a row, ${expected.length} values read back`;
    return { measures: [{ name, unit: 'GFLOP/s', note, rows }], info: engines[0].info };
  } finally {
    for (const { process } of engines) process.close();
  }
}

/**
 * The largest difference divided by the largest expected magnitude.
 *
 * @param {readonly number[]} actual
 * @param {readonly number[]} expected
 */
function relativeError(actual, expected) {
  if (actual.length !== expected.length) return Infinity;
  let difference = 0;
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    if (!Number.isFinite(actual[i])) return Infinity;
    difference = Math.max(difference, Math.abs(actual[i] - expected[i]));
    largest = Math.max(largest, Math.abs(expected[i]));
  }
  return difference / largest;
}
