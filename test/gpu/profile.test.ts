import { afterAll, describe, expect, it } from 'vitest';
import { type Gpu, openGpu } from '../../src/gpu/device.ts';
import { passCosts } from '../../src/gpu/measure/passCosts.ts';
import { joinProfiles, type Profile, profilePass } from '../../src/gpu/measure/profilePass.ts';
import { Pass } from '../../src/gpu/pass.ts';
import { freeTensors, readTensor, upload } from '../../src/gpu/tensor.ts';
import { packWeights } from '../../src/gpu/weightFormats.ts';
import { kernels } from '../../src/kernels/kernelSet.ts';
import { positionTokens } from '../../src/model/generation/preparePrompt.ts';
import { positionsFor } from '../../src/model/graph/positions.ts';
import { M2Reasoning } from '../../src/model/m2Reasoning.ts';
import { tiny } from '../tinyExamples.ts';

const gpu = await openGpu();
afterAll(() => gpu.destroy());

function expectPlausible(profile: Profile): void {
  const { rows, us, wallUs, resolutionUs, dispatches } = profile;
  const sum = (of: (row: (typeof rows)[number]) => number) => rows.reduce((total, row) => total + of(row), 0);
  expect(sum((row) => row.dispatches)).toBe(dispatches);
  expect(sum((row) => row.us)).toBeCloseTo(us, 6);
  expect(sum((row) => row.share)).toBeCloseTo(us > 0 ? 1 : 0, 9); // a coarse clock may see no time at all
  expect(wallUs).toBeGreaterThan(0);
  expect(resolutionUs).toBeGreaterThanOrEqual(0);
  for (const row of rows) {
    expect(row.us).toBeGreaterThanOrEqual(0);
    expect(row.gbPerS).toEqual(row.us > 0 ? expect.closeTo(row.bytes / row.us / 1e3, 9) : null);
    const isKnown = row.us > 0 && row.flops !== null;
    expect(row.gflopPerS).toEqual(isKnown ? expect.closeTo((row.flops ?? 0) / row.us / 1e3, 9) : null);
  }
  expect(rows.map((row) => row.us)).toEqual(rows.map((row) => row.us).toSorted((a, b) => b - a));
}

/** y = x · Wᵀ + bias, W [7, 6] bf16, x of `rows` rows; then y += y2, twice. */
async function withLinearPass(onGpu: Gpu, rows: number, use: (pass: Pass) => Promise<void>): Promise<void> {
  const bf16 = (length: number) =>
    packWeights(
      Float32Array.from({ length }, (_, i) => i / 64),
      'bf16',
    );
  const x = upload(onGpu, new Float32Array(rows * 6).fill(1), [rows, 6], 'x');
  const weight = upload(onGpu, bf16(42), [7, 6], 'weight');
  const bias = upload(onGpu, bf16(7), [7], 'bias');
  const delta = upload(onGpu, new Float32Array(rows * 7).fill(1), [rows, 7], 'delta');
  const pass = new Pass(onGpu, 'linear');
  const hidden = kernels.matmul(pass, { x, weight, bias });
  for (let i = 0; i < 2; i++) kernels.add(pass, { hidden, delta });
  try {
    await use(pass);
  } finally {
    await pass.destroy();
    await freeTensors(onGpu, [x, weight, bias, delta]);
  }
}

const MATMUL_BYTES = 5 * 6 * 4 + 7 * 6 * 2 + 7 * 2 + 5 * 7 * 4; // x, weight, bias, out
const MATMUL_FLOPS = 2 * 5 * 6 * 7;

describe('passCosts', () => {
  it('counts only the rows looked up in a table, and only the filled part of a cache', async () => {
    const zeros = (shape: readonly number[]) => {
      const length = shape.reduce((product, size) => product * size, 1);
      return upload(gpu, new Float32Array(length), shape, 'zeros');
    };
    const ids = upload(gpu, Uint32Array.of(3, 1), [2], 'ids');
    const table = zeros([100, 6]);
    const qkv = zeros([1, 16]); // two query heads, one key head of 4
    const [kCache, vCache] = [zeros([1, 50, 4]), zeros([1, 50, 4])];
    const start = upload(gpu, Uint32Array.of(9), [1], 'start');
    const pass = new Pass(gpu, 'costs');
    kernels.embed(pass, { ids, table });
    kernels.decodeAttention(pass, { qkv, kCache, vCache, start });
    const [embed, attention] = await passCosts(pass);
    expect(embed).toEqual({ kernel: 'embed', bytesRead: 8 + 48, bytes: 8 + 48 + 48, flops: null });
    const attentionRead = 64 + 2 * 10 * 16 + 4; // qkv, ten keys and values, start
    expect(attention).toEqual({
      kernel: 'decodeAttention',
      bytesRead: attentionRead,
      bytes: attentionRead + 32,
      flops: 4 * 8 * 10,
    });
    await pass.destroy();
    await freeTensors(gpu, [ids, table, qkv, kCache, vCache, start]);
  });
});

describe('profilePass', () => {
  it('sums dispatches, bytes and operations by kernel', async () => {
    await withLinearPass(gpu, 5, async (pass) => {
      const before = gpu.counters.dispatches;
      await pass.submit();
      const submitted = gpu.counters.dispatches - before;
      const profile = await profilePass(pass, { repetitions: 3 });
      expectPlausible(profile);
      expect(profile).toMatchObject({ dispatches: submitted, repetitions: 3 });
      const byName = Object.fromEntries(profile.rows.map((row) => [row.kernel, row]));
      expect(Object.keys(byName).toSorted()).toEqual(['add', 'matmul']);
      expect(byName.matmul).toMatchObject({ dispatches: 1, bytes: MATMUL_BYTES, flops: MATMUL_FLOPS });
      expect(byName.add).toMatchObject({ dispatches: 2, bytes: 2 * 2 * 5 * 7 * 4, flops: null });
    });
  });

  it('divides a call among the pieces of its weights', async () => {
    const small = await openGpu({ maxBindingBytes: 48 }); // four of the seven rows of weight
    try {
      await withLinearPass(small, 5, async (pass) => {
        const { rows } = await profilePass(pass, { repetitions: 1 });
        const matmul = rows.find(({ kernel }) => kernel === 'matmul');
        expect(matmul?.dispatches).toBe(2);
        expect(matmul?.bytes).toBeCloseTo(MATMUL_BYTES, 9);
        expect(matmul?.flops).toBeCloseTo(MATMUL_FLOPS, 9);
      });
    } finally {
      small.destroy();
    }
  });

  it('times more dispatches than one submit has, runs copies, and leaves out read-backs', async () => {
    const [hidden, delta, copied] = [0, 1, 0].map((value, i) =>
      upload(gpu, Float32Array.of(value), [1, 1], `tensor ${i}`),
    );
    const pass = new Pass(gpu, 'long');
    const back = pass.readBack(hidden);
    for (let i = 0; i < 150; i++) kernels.add(pass, { hidden, delta });
    pass.copy(hidden, copied);
    try {
      await pass.submit();
      const profile = await profilePass(pass, { repetitions: 2 });
      expectPlausible(profile);
      expect(profile.rows).toHaveLength(1);
      expect(profile).toMatchObject({ dispatches: 150 });
      expect([...(await back.read())]).toEqual([0]); // of the one submit, before its additions
      expect([...(await readTensor(gpu, copied))]).toEqual([5 * 150]); // two runs with timestamps, two without
    } finally {
      await pass.destroy();
      await freeTensors(gpu, [hidden, delta, copied]);
    }
  });

  it('ends at an abort', async () => {
    const reason = new Error('enough');
    await withLinearPass(gpu, 1, async (pass) => {
      await expect(profilePass(pass, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    });
  });

  it('names the feature that an adapter lacks', async () => {
    const features = new Set<string>();
    const pass = { gpu: { device: { features }, description: 'an old one' } } as unknown as Pass;
    await expect(profilePass(pass)).rejects.toMatchObject({
      code: 'GPU_LIMIT',
      details: { expected: 'the feature timestamp-query' },
    });
  });

  it('joins passes; unknown operations of one make the sum unknown', () => {
    const row = (kernel: string, us: number, flops: number | null) => {
      return { kernel, dispatches: 1, us, bytes: 4000, flops, share: 1, gbPerS: null, gflopPerS: null };
    };
    const rest = { dispatches: 1, us: 0, wallUs: 5, resolutionUs: 2 };
    const joined = joinProfiles([
      { ...rest, rows: [row('a', 2, 8000), row('b', 1, 100)], repetitions: 9 },
      { ...rest, rows: [row('b', 5, null), row('a', 2, 8000)], repetitions: 4 },
    ]);
    expect(joined).toEqual({
      dispatches: 4,
      us: 10,
      wallUs: 10,
      repetitions: 4,
      resolutionUs: 2,
      rows: [
        expect.objectContaining({ kernel: 'b', dispatches: 2, us: 6, flops: null, gflopPerS: null }),
        { kernel: 'a', dispatches: 2, us: 4, share: 0.4, bytes: 8000, flops: 16000, gbPerS: 2, gflopPerS: 4 },
      ],
    });
    expectPlausible(joined);
  });
});

describe('onPass of forward', () => {
  it('gives every pass to a profiler, and the tokens stay correct', async () => {
    const model = await M2Reasoning.load(tiny, { gpu });
    try {
      const { inputIds, images } = await model.prepare([{ role: 'user', content: 'What is this?' }]);
      const { llm } = model.config;
      const positions = positionsFor(llm.rope, inputIds, images, positionTokens(model), 'reference');
      const inputs = { inputIds, images, positions };
      const before = gpu.counters.dispatches;
      const expected = await model.forward(inputs, { steps: 2 });
      const counted = gpu.counters.dispatches - before;

      const profiles = new Map<string, Profile>();
      const tokens = await model.forward(inputs, {
        steps: 2,
        onPass: async (pass) => {
          profiles.set(pass.label, await profilePass(pass, { repetitions: 1 }));
        },
      });
      expect(tokens).toEqual(expected);
      expect([...profiles.keys()]).toEqual(['embed', 'prefill 0', 'decode']);
      const joined = joinProfiles([...profiles.values()]);
      expectPlausible(joined);
      expect(joined.dispatches).toBe(counted);
      const attention = profiles.get('decode')?.rows.find(({ kernel }) => kernel === 'attendToken');
      const width = llm.hiddenSize; // of all heads; the step's token sees the prompt and itself
      expect(attention?.flops).toBe(llm.numHiddenLayers * 4 * width * (inputIds.length + 1));
    } finally {
      await model.destroy();
    }
  });
});
