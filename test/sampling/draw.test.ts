import { describe, expect, it } from 'vitest';
import { read, write } from '../../src/gpu/declaration.ts';
import { defineKernel } from '../../src/gpu/kernel.ts';
import { NO_TOKEN } from '../../src/kernels/choose/reference/argmax.ts';
import { pcg4d, uniformRandom } from '../../src/kernels/choose/reference/random.ts';
import { drawToken } from '../../src/kernels/choose/reference/sampleToken.ts';
import { random } from '../../src/kernels/shared/helpers.ts';
import { sharedGpu } from '../sharedGpu.ts';
import { drawOnGpu, edgesOf, SEED } from './drawOnGpu.ts';
import { OFF, type ProcessOptions, processLogits } from './processLogits.ts';

const DRAWS = 100_000;
const EXAMPLE = [1, 3, 0, 2, 2, -1, 2.5, 0.5];
const SEEDS = [
  [0, 0],
  [1, 0],
  [0xffffffff, 0xffffffff],
  [0x9e3779b9, 7],
] as const;

const gpu = await sharedGpu();

/** A kernel that only calls the random generator. */
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

/** Σ (observed − expected)² / expected over the possible tokens. */
function chiSquare(counts: Uint32Array, probabilities: Float64Array): number {
  let sum = 0;
  for (const [id, probability] of probabilities.entries()) {
    if (probability === 0) expect(counts[id]).toBe(0);
    else sum += (counts[id] - DRAWS * probability) ** 2 / (DRAWS * probability);
  }
  return sum;
}

/** The 0.999 quantile of chi-square (Wilson and Hilferty's approximation). */
function criticalValue(freedom: number): number {
  const spread = 2 / (9 * freedom);
  return freedom * (1 - spread + 3.09 * Math.sqrt(spread)) ** 3;
}

describe(`random numbers on ${gpu.description}`, () => {
  it('equal pcg4d computed with Python integers', () => {
    expect(pcg4d([0, 0, 0, 0])).toEqual([0x0f02f829, 0x2d568769, 0x32b0c43b, 0xd32548ea]);
    expect(pcg4d([1, 2, 3, 4])).toEqual([0x3622cd16, 0xf11471d8, 0xe1109b3f, 0x02b94c2f]);
  });

  it.each(SEEDS)('have the same bits as the CPU version: seed %i %i', async (seedLow, seedHigh) => {
    const numbers = await numbersOnGpu(seedLow, seedHigh);
    let different = 0;
    for (let i = 0; i < DRAWS; i++) different += Number(numbers[i] !== uniformRandom(seedLow, seedHigh, i));
    expect(different).toBe(0);
  });

  it.each(SEEDS)('are uniform, and so are pairs of neighbours: seed %i %i', (seedLow, seedHigh) => {
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

  it('of neighbouring seeds are independent', () => {
    const even = new Float64Array(1024).fill(1 / 1024);
    const counts = new Uint32Array(1024);
    for (let seed = 0; seed < DRAWS; seed++) counts[Math.floor(uniformRandom(seed, 0, 20) * 1024)]++;
    expect(chiSquare(counts, even)).toBeLessThan(criticalValue(1023));
  });
});

describe(`draws on ${gpu.description}`, () => {
  const logits = Float32Array.from({ length: 400 }, (_, id) => 4 * Math.sin(id * id) + (id % 7) / 7);
  const limits = { ...OFF, temperature: 0.9, topK: 40, topP: 0.9 };
  const noText = { promptIds: [], answerIds: [], endTokens: [] };
  const probabilities = processLogits(logits, limits, noText);
  const { seedLow, seedHigh } = SEED;

  /** One sample for each of the first random numbers. */
  const drawMany = (row: Float32Array, options: ProcessOptions, count: number, seed = SEED) =>
    drawOnGpu(gpu, row, options, noText, [...Array(count).keys()], seed);

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

  it('on the GPU equal those on the CPU, and repeat with the same seed', async () => {
    const first = await drawMany(logits, limits, 100);
    const expected = first.map((_, i) => drawToken(probabilities, uniformRandom(seedLow, seedHigh, i)));
    expect(first).toEqual(expected);
    const some = first.slice(0, 40);
    expect(await drawMany(logits, limits, 40)).toEqual(some);
    expect(await drawMany(logits, limits, 40, { seedLow: seedLow + 1, seedHigh })).not.toEqual(some);
    expect(await drawMany(logits, limits, 40, { seedLow, seedHigh: seedHigh + 1 })).not.toEqual(some);
  });

  it.each<[string, number[], Partial<ProcessOptions>, number[]]>([
    ['ties at the k-th: all stay', [3, 2, 2, 1, 2, -0, 0], { topK: 2 }, [0, 1, 2, 4]],
    ['ties at the cut of top-p: the highest ids stay', [3, 2, 2, 1, 2, 0], { topP: 0.7 }, [0, 2, 4]],
    ['ties that min-p drops', [3, 2, 2, 1, 2, 0], { topP: 0.7, minP: 0.5 }, [0]],
    ['two zeros are equal', [-0, 0, -1], { topK: 1 }, [0, 1]],
    ['banned tokens', [-Infinity, 1, -Infinity, 2, 0], { topK: 4, topP: 0.9 }, [1, 3]],
    ['the example of samplingCut.wgsl', EXAMPLE, { topK: 4, topP: 0.8 }, [1, 4, 6]],
    ['the same with min-p', EXAMPLE, { topK: 4, topP: 0.8, minP: 0.4 }, [1, 6]],
    ['top-k above the vocabulary', [1, 3, 2], { topK: 40 }, [0, 1, 2]],
  ])('of few tokens: %s', async (_, few, change, kept) => {
    const options = { ...OFF, ...change };
    const { indices, tokens } = edgesOf(processLogits(few, options, noText));
    expect([...new Set(tokens)]).toEqual(kept);
    expect(await drawOnGpu(gpu, Float32Array.from(few), options, noText, indices)).toEqual(tokens);
  });

  it.each<Partial<ProcessOptions>>([
    { temperature: 1.7, topK: 100, topP: 0.8, minP: 0.5 },
    { temperature: 50, topP: 0.3 },
    { temperature: 0.01, topP: 0.999 },
  ])('with %j', async (change) => {
    const options = { ...OFF, ...change };
    const { indices, tokens } = edgesOf(processLogits(logits, options, noText));
    expect(await drawOnGpu(gpu, logits, options, noText, indices)).toEqual(tokens);
  });

  it('from all 152,064 tokens reach the last one, but never a banned one', async () => {
    const flat = new Float32Array(152_064).fill(-Infinity);
    for (let id = 3; id < flat.length; id += 4) flat[id] = 1.5;
    const drawn = await drawMany(flat, { ...limits, topK: 0, topP: 1 }, 20);
    const kept = flat.length / 4;
    const expected = drawn.map((_, i) => 4 * Math.floor(uniformRandom(seedLow, seedHigh, i) * kept) + 3);
    expect(drawn).toEqual(expected);
  });

  it('give no token if a logit is NaN or +Infinity, or none is finite', async () => {
    const draw = async (bad: number, places: (id: number) => boolean) => {
      const row = logits.map((logit, id) => (places(id) ? bad : logit));
      const [id] = await drawMany(row, limits, 1);
      return id;
    };
    for (const bad of [Number.NaN, -Number.NaN, Infinity]) {
      expect(await draw(bad, (id) => id === 399)).toBe(NO_TOKEN);
      expect(await draw(bad, () => true)).toBe(NO_TOKEN);
    }
    expect(await draw(-Infinity, () => true)).toBe(NO_TOKEN);
    const early = { ...limits, minLength: 5 }; // the ban on an end token must not hide its NaN
    const broken = logits.map((logit, id) => (id === 399 ? Number.NaN : logit));
    expect(await drawOnGpu(gpu, broken, early, { ...noText, endTokens: [399] }, [0])).toEqual([NO_TOKEN]);
    expect(await draw(-Infinity, (id) => id !== 17)).toBe(17);
  });
});
