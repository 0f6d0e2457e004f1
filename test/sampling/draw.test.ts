import { afterAll, describe, expect, it } from 'vitest';
import { read, write } from '../../src/gpu/declaration.ts';
import { openGpu } from '../../src/gpu/device.ts';
import { defineKernel } from '../../src/gpu/kernel.ts';
import { Pass } from '../../src/gpu/pass.ts';
import { freeTensors, upload, zeros } from '../../src/gpu/tensor.ts';
import { NO_TOKEN } from '../../src/kernels/choose/reference/argmax.ts';
import { pcg4d, uniformRandom } from '../../src/kernels/choose/reference/random.ts';
import { kernels } from '../../src/kernels/kernelSet.ts';
import { random } from '../../src/kernels/shared/helpers.ts';
import { drawToken, processLogits } from '../../src/model/generation/cpuSampler.ts';
import { OFF } from './processOnGpu.ts';

const DRAWS = 100_000;
const SEEDS = [
  [0, 0],
  [1, 0],
  [0xffffffff, 0xffffffff],
  [0x9e3779b9, 7],
] as const;

const gpu = await openGpu();
afterAll(() => gpu.destroy());

/** Does nothing but call the generator. */
const randomNumbers = defineKernel({
  name: 'randomNumbers',
  code: `
    override WORKGROUP_SIZE: u32 = 64u;
    @group(0) @binding(0) var<storage, read> index: array<u32>;
    @group(0) @binding(1) var<storage, read_write> out: array<f32>;
    @group(0) @binding(2) var<uniform> params: Params;
    struct Params { seedLow: u32, seedHigh: u32 }
    @compute @workgroup_size(WORKGROUP_SIZE)
    fn main(@builtin(global_invocation_id) thread: vec3u) {
      if (thread.x < arrayLength(&out)) {
        out[thread.x] = uniformRandom(params.seedLow, params.seedHigh, index[thread.x]);
      }
    }`,
  helpers: [random],
  bindings: { index: read('u32', ['n']), out: write('f32', ['n']) },
  params: { seedLow: 'u32', seedHigh: 'u32' },
  constants: { WORKGROUP_SIZE: 64 },
  dispatch: ({ n }) => [Math.ceil(n / 64)],
  reference: () => ({}),
  cases: [],
  tolerance: { abs: 0, rel: 0, reason: 'the same bits' },
});

function numbersOnGpu(seedLow: number, seedHigh: number): Promise<ArrayLike<number>> {
  const index = Uint32Array.from({ length: DRAWS }, (_, i) => i);
  return randomNumbers.run(gpu, { index }, { seedLow, seedHigh });
}

/** Σ (observed − expected)² / expected over tokens that can come. */
function chiSquare(counts: Uint32Array, probabilities: Float64Array): number {
  let sum = 0;
  for (const [id, probability] of probabilities.entries()) {
    if (probability === 0) expect(counts[id]).toBe(0);
    else sum += (counts[id] - DRAWS * probability) ** 2 / (DRAWS * probability);
  }
  return sum;
}

/** What chi-square stays under with probability 0.999 (Wilson and Hilferty's approximation). */
function criticalValue(freedom: number): number {
  const spread = 2 / (9 * freedom);
  return freedom * (1 - spread + 3.09 * Math.sqrt(spread)) ** 3;
}

describe(`random numbers on ${gpu.description}`, () => {
  it('are pcg4d, computed with Python integers', () => {
    expect(pcg4d([0, 0, 0, 0])).toEqual([0x0f02f829, 0x2d568769, 0x32b0c43b, 0xd32548ea]);
    expect(pcg4d([1, 2, 3, 4])).toEqual([0x3622cd16, 0xf11471d8, 0xe1109b3f, 0x02b94c2f]);
  });

  it.each(SEEDS)('are the same bits as the twin gives: seed %i %i', async (seedLow, seedHigh) => {
    const numbers = await numbersOnGpu(seedLow, seedHigh);
    let different = 0;
    for (let i = 0; i < DRAWS; i++) different += Number(numbers[i] !== uniformRandom(seedLow, seedHigh, i));
    expect(different).toBe(0);
  });

  it.each(SEEDS)('are even, and so are pairs of neighbours: seed %i %i', (seedLow, seedHigh) => {
    const cells = 32;
    const single = new Uint32Array(cells * cells);
    const pairs = new Uint32Array(cells * cells);
    for (let i = 0; i < DRAWS; i++) {
      const [a, b] = [i, i + 1].map((index) => uniformRandom(seedLow, seedHigh, index));
      single[Math.floor(a * cells * cells)]++;
      pairs[Math.floor(a * cells) * cells + Math.floor(b * cells)]++;
    }
    const even = new Float64Array(cells * cells).fill(1 / cells ** 2);
    expect(chiSquare(single, even)).toBeLessThan(criticalValue(cells ** 2 - 1));
    expect(chiSquare(pairs, even)).toBeLessThan(criticalValue(cells ** 2 - 1));
  });

  it('of neighbouring seeds have nothing in common', () => {
    const even = new Float64Array(1024).fill(1 / 1024);
    const counts = new Uint32Array(1024);
    for (let seed = 0; seed < DRAWS; seed++) counts[Math.floor(uniformRandom(seed, 0, 20) * 1024)]++;
    expect(chiSquare(counts, even)).toBeLessThan(criticalValue(1023));
  });
});

describe(`draws on ${gpu.description}`, () => {
  const logits = Float32Array.from({ length: 400 }, (_, id) => 4 * Math.sin(id * id) + (id % 7) / 7);
  const limits = { temperature: 0.9, topK: 40, topP: 0.9, minP: 0 };
  const probabilities = processLogits(
    logits,
    { ...OFF, ...limits },
    { promptIds: [], answerIds: [], endTokens: [] },
  );
  const [seedLow, seedHigh] = [2024, 7];

  it(`follow the probabilities: chi-square over ${DRAWS} with the GPU's random numbers`, async () => {
    const numbers = await numbersOnGpu(seedLow, seedHigh);
    const counts = new Uint32Array(logits.length);
    for (let i = 0; i < DRAWS; i++) counts[drawToken(probabilities, numbers[i])]++;
    const freedom = probabilities.filter((p) => p > 0).length - 1;
    expect(freedom).toBeGreaterThan(20);
    expect(chiSquare(counts, probabilities)).toBeLessThan(criticalValue(freedom));

    const tilted = probabilities.map((p, id) => p * (id % 2 === 0 ? 1.03 : 0.97)); // the test can fail
    expect(chiSquare(counts, tilted)).toBeGreaterThan(criticalValue(freedom));
  });

  it('of the GPU are those of the CPU, and come again with the same seed', async () => {
    const first = await drawMany(logits, { ...limits, seedLow, seedHigh }, 400);
    const expected = first.map((_, i) => drawToken(probabilities, uniformRandom(seedLow, seedHigh, i)));
    expect(first).toEqual(expected);
    expect(await drawMany(logits, { ...limits, seedLow, seedHigh }, 400)).toEqual(first);
    expect(await drawMany(logits, { ...limits, seedLow: seedLow + 1, seedHigh }, 400)).not.toEqual(first);
    expect(await drawMany(logits, { ...limits, seedLow, seedHigh: seedHigh + 1 }, 400)).not.toEqual(first);
  });

  it('of all 152,064 tokens reach the last one, and never a banned one', async () => {
    const flat = new Float32Array(152_064).fill(-Infinity);
    for (let id = 3; id < flat.length; id += 4) flat[id] = 1.5;
    const drawn = await drawMany(flat, { ...limits, topK: 0, topP: 1, seedLow, seedHigh }, 20);
    const kept = flat.length / 4;
    const expected = drawn.map((_, i) => 4 * Math.floor(uniformRandom(seedLow, seedHigh, i) * kept) + 3);
    expect(drawn).toEqual(expected);
  });

  it('find no token where a logit is NaN or +Infinity, or none is finite', async () => {
    const draw = async (bad: number, places: (id: number) => boolean) => {
      const row = logits.map((logit, id) => (places(id) ? bad : logit));
      const [id] = await drawMany(row, { ...limits, seedLow, seedHigh }, 1);
      return id;
    };
    for (const bad of [Number.NaN, -Number.NaN, Infinity]) {
      expect(await draw(bad, (id) => id === 399)).toBe(NO_TOKEN);
      expect(await draw(bad, () => true)).toBe(NO_TOKEN);
    }
    expect(await draw(-Infinity, () => true)).toBe(NO_TOKEN);
    expect(await draw(-Infinity, (id) => id !== 17)).toBe(17);
  });
});

/** One draw for each of the lengths 0 … count - 1, in one submit. */
async function drawMany(
  logits: Float32Array,
  params: Parameters<typeof kernels.sampleToken>[2],
  count: number,
): Promise<number[]> {
  const row = upload(gpu, logits, [1, logits.length], 'logits');
  const lengths = Array.from({ length: count }, (_, i) => upload(gpu, Uint32Array.of(i), [1], 'length'));
  const drawn = lengths.map(() => zeros(gpu, 'u32', [1], 'drawn'));
  const pass = new Pass(gpu, 'draws');
  for (const [i, length] of lengths.entries()) {
    kernels.sampleToken(pass, { logits: row, length, out: drawn[i] }, params);
  }
  const readBacks = drawn.map((token) => pass.readBack(token));
  await pass.submit();
  const ids: number[] = [];
  for (const readBack of readBacks) ids.push((await readBack.read())[0]);
  await pass.destroy();
  await freeTensors(gpu, [row, ...lengths, ...drawn]);
  return ids;
}
