// @ts-check
// Checks every step of docs/kernel-ladder.md, then times them in turns.
// Run: npm run build && node examples/matmul/run.js [--size N]      N x N times N x N, with weights in bf16; default 512
import { parseArgs } from 'node:util';
import { benchKernel, checkKernel, defineKernel, openGpu } from 'm2-reasoning';
import { steps } from './steps.js';

const ROUNDS = 7;
const { values } = parseArgs({ options: { size: { type: 'string', default: '512' } } });
const size = Number(values.size);
if (!Number.isInteger(size) || size < 1)
  throw new RangeError(`--size ${values.size} is not a positive integer`);

const timed = steps.map(({ name, kernels }) => ({
  name,
  // benchKernel checks before it times. All cases are checked once below, so that in the rounds the first one is enough.
  kernels: kernels.map(({ declaration }) =>
    defineKernel({ ...declaration, cases: [{ ...declaration.cases[0], weightDtype: 'bf16' }] }),
  ),
}));
const sizes = { rows: size, inDim: size, outDim: size };

const gpu = await openGpu();
try {
  console.log(gpu.description);
  for (const kernel of steps.flatMap((step) => step.kernels)) {
    const wrong = (await checkKernel(gpu, kernel)).filter(({ ok }) => !ok);
    if (wrong.length > 0)
      throw new Error(`${kernel.declaration.name}: ${wrong[0].case}: ${wrong[0].verdict}`);
    console.log(`${kernel.declaration.name}: correct`);
  }

  /** @type {number[][]} microseconds, by round and step */
  const rounds = [];
  for (let round = 0; round < ROUNDS; round++) {
    rounds.push([]);
    for (const step of timed) rounds[round].push(await microseconds(step.kernels));
  }
  console.table(
    timed.map(({ name }, step) => {
      const us = median(rounds.map((round) => round[step]));
      return {
        step: name,
        ms: (us / 1000).toFixed(1),
        'GFLOP/s': ((2 * size ** 3) / us / 1000).toFixed(2),
        '× step 1': median(rounds.map((round) => round[0] / round[step])).toFixed(2),
      };
    }),
  );
} finally {
  gpu.destroy();
}

/**
 * @param {import('m2-reasoning').Kernel[]} parts
 * @returns {Promise<number>} microseconds of one call of each
 */
async function microseconds(parts) {
  let sum = 0;
  for (const kernel of parts) {
    const cases = [{ name: `${size}`, sizes }];
    const [{ usPerCall, verdict }] = await benchKernel(gpu, kernel, { cases, rounds: 1 });
    if (usPerCall === null) throw new Error(verdict);
    sum += usPerCall;
  }
  return sum;
}

/** @param {number[]} numbers */
function median(numbers) {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1];
}
