/** Tuning times only correct candidates and takes only clear gains, and the model's tokens stay the same. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import type { KernelDeclaration } from '../src/gpu/declaration.ts';
import { openGpu } from '../src/gpu/device.ts';
import type { Pass } from '../src/gpu/pass.ts';
import { parseModelConfig } from '../src/model/checkpoint/config.ts';
import { type TunedCall, tunedCalls } from '../src/model/fast/tuning/tunedCalls.ts';
import { defaultVariant, isSame, tune, tuningCandidates } from '../src/model/fast/tuning/tuning.ts';
import { forgetTuning, readTuning, writeTuning } from '../src/model/fast/tuning/tuningCache.node.ts';
import { TUNED_KERNELS, type TunedKernel, type Tuning, type Variant } from '../src/model/fast/variants.ts';
import { positionsFor } from '../src/model/graph/positions.ts';
import { M2Reasoning } from '../src/model/m2Reasoning.ts';
import { examples, messagesOf, tiny } from './tinyExamples.ts';

const gpu = await openGpu();
const scratch = mkdtempSync(join(tmpdir(), 'm2-tuning-'));
vi.stubEnv('XDG_CACHE_HOME', scratch);
afterAll(() => {
  vi.unstubAllEnvs();
  rmSync(scratch, { recursive: true });
  gpu.destroy();
});

const config = parseModelConfig(readFileSync(`${tiny}config.json`), 'config.json');
const calls = tunedCalls(config, 'bf16');
const down = calls.filter(({ kernel, kernelCase }) => kernel === 'gemvPanels' && kernelCase.name === 'down');
const gateUp = calls.filter(
  ({ kernel, kernelCase }) => kernel === 'gemvPanels' && kernelCase.name === 'gate and up',
);
const gemv = (constants: Variant['constants']): Variant => ({ kernel: 'gemvPanels', constants });

/** @param times for each class of `of`: µs of the correct candidates, the default first */
function tuned(
  of: readonly TunedCall[],
  candidates: readonly Variant[],
  times: readonly (readonly number[])[],
) {
  let calls = 0;
  return tune(gpu, of, {
    candidates: { gemvPanels: candidates },
    time: async (_, records) => {
      const usPerCall = times[calls++];
      expect(records).toHaveLength(usPerCall.length);
      return usPerCall.map((us) => ({ usPerCall: us }));
    },
  });
}

describe(`tune, on ${gpu.description}`, () => {
  it('takes another candidate than the default if it needs 8 % less time', async () => {
    const candidates = [gemv({ WORKGROUP_SIZE: 32 })];
    const times = [
      [100, 92.1],
      [100, 50],
    ];
    const { tuning, rows } = await tuned([...down, ...gateUp], candidates, times);
    const standard = defaultVariant(gpu, 'gemvPanels');
    expect(rows).toMatchObject([
      { case: 'down', chosen: standard, gain: 1 },
      { case: 'gate and up', chosen: candidates[0], gain: 2 },
    ]);
    expect(tuning).toEqual({
      gemvPanels: { [down[0].shapeClass]: standard, [gateUp[0].shapeClass]: candidates[0] },
    });
  });

  it('neither times nor takes a candidate that is wrong or does not compile', async () => {
    const adds = gemv({ ADD: 1 }); // to whatever is in the output
    const tooLarge = gemv({ WORKGROUP_SIZE: 2 ** 20 });
    const { rows } = await tuned(down, [adds, tooLarge], [[100]]);
    expect(rows[0].chosen).toEqual(defaultVariant(gpu, 'gemvPanels'));
    expect(rows[0].candidates.map(({ usPerCall }) => usPerCall)).toEqual([100, null, null]);
    const [standard, first, second] = rows[0].candidates.map(({ verdict }) => verdict);
    expect(standard).toBe('ok');
    expect(first).toMatch(/^gemvPanels: odd sizes, f32, out: ./);
    expect(second).toMatch(/gemvPanels/);
  });

  it('takes no candidate with a wrong kernel for another ending', async () => {
    const storesOnly = gemv({ ADD: 0, WORKGROUP_SIZE: 32 }); // gemvPanelsAdd would store, too
    const { rows } = await tuned(down, [storesOnly], [[100, 10]]);
    expect(rows[0].chosen).toEqual(defaultVariant(gpu, 'gemvPanels'));
    expect(rows[0].candidates[1].verdict).toMatch(/^gemvPanelsAdd: /);
  });

  it("starts with the adapter's default for the number of rows", async () => {
    const downs = calls.filter(
      ({ kernel, kernelCase }) => kernel === 'matmulPanels' && kernelCase.name === 'down',
    );
    const { rows } = await tune(gpu, downs, {
      candidates: { matmulPanels: [] },
      time: async (_, records) => records.map(() => ({ usPerCall: 100 })),
    });
    const many = gpu.device.features.has('subgroups') ? 'matmulPanelsQuad' : 'matmulPanels';
    expect(rows.map(({ shapeClass, chosen }) => [shapeClass, chosen?.kernel])).toEqual([
      ['up to 8 rows, up to 512 columns, bf16', 'matmulPanels'],
      ['more than 8 rows, up to 512 columns, bf16', many],
    ]);
  });

  it('offers 4 to 8 candidates, including the default', () => {
    for (const kernel of TUNED_KERNELS) {
      const candidates = tuningCandidates(gpu, kernel);
      expect(candidates.length).toBeGreaterThanOrEqual(4);
      expect(candidates.length).toBeLessThanOrEqual(8);
      for (const rows of [1, 8, 9]) expect(candidates).toContainEqual(defaultVariant(gpu, kernel, rows));
    }
  });

  it('ends with the error that onProgress throws', async () => {
    const stop = new Error('stop');
    const onProgress = () => {
      throw stop;
    };
    await expect(tune(gpu, down, { onProgress })).rejects.toBe(stop);
  });
});

/** A choice other than the default for every call of m2-tiny. */
function everythingTuned(): Tuning {
  const tuning: Partial<Record<TunedKernel, Record<string, Variant>>> = {};
  for (const { kernel, shapeClass } of calls) {
    const standard = defaultVariant(gpu, kernel);
    const other = tuningCandidates(gpu, kernel).find((one) => !isSame(one, standard)) as Variant;
    tuning[kernel] = { ...tuning[kernel], [shapeClass]: other };
  }
  return tuning;
}

describe('a tuned model', () => {
  it("runs the chosen variants and gives the reference's tokens", async () => {
    const tuning = everythingTuned();
    const example = examples[4];
    const model = await M2Reasoning.load(tiny, { gpu, tuning: async () => tuning });
    const { inputIds, images } = await model.prepare(messagesOf(example));
    const { llm, vision } = model.config;
    const tokenIds = { ...llm, spatialMergeSize: vision.spatialMergeSize };
    const positions = positionsFor(llm.rope, inputIds, images, tokenIds, 'reference');
    const ran = new Set<KernelDeclaration>();
    const onPass = async (pass: Pass) => {
      for (const step of await pass.prepared()) {
        if (step.kind === 'dispatch') ran.add(step.call.declaration);
      }
    };
    const tokens = await model.forward({ inputIds, images, positions }, { steps: 3, onPass });
    await model.destroy();
    expect(tokens).toEqual(example.output_ids.slice(0, 3));
    for (const [kernel, choices] of Object.entries(tuning)) {
      const declarations = [...ran].filter(({ name }) => name.startsWith(kernel));
      const { constants } = Object.values(choices)[0]; // m2-tiny's classes all got the same one
      expect(declarations.length).toBeGreaterThan(0);
      for (const declaration of declarations) expect(declaration.constants).toMatchObject(constants);
    }
  });
});

describe('the cache of tunings', () => {
  it('stores a tuning for this adapter, merges the next one, and deletes it', async () => {
    expect(await readTuning(gpu)).toBeNull();
    const first: Tuning = { gemvPanels: { [down[0].shapeClass]: gemv({ WORKGROUP_SIZE: 32 }) } };
    const second: Tuning = { gemvPanels: { [gateUp[0].shapeClass]: gemv({ WORKGROUP_SIZE: 64 }) } };
    const file = await writeTuning(gpu, first);
    expect(file.startsWith(scratch)).toBe(true);
    expect(await readTuning(gpu)).toMatchObject(first);
    expect(await writeTuning(gpu, second)).toBe(file);
    expect(await readTuning(gpu)).toMatchObject({
      gemvPanels: { ...first.gemvPanels, ...second.gemvPanels },
    });
    expect(await forgetTuning(gpu)).toBe(file);
    expect(await readTuning(gpu)).toBeNull();
    expect(await forgetTuning(gpu)).toBeNull();
  });

  it.each([
    ['half a file', '{"tuning": {"gemv'],
    ['no tuning', '{}'],
    ['an unknown kernel', '{"tuning": {"gemm": {}}}'],
    [
      'a choice that is no candidate',
      '{"tuning": {"gemvPanels": {"x": {"kernel": "gemvPanels", "constants": {"ADD": 1}}}}}',
    ],
    ['a choice that is null', '{"tuning": {"gemvPanels": {"x": null}}}'],
  ])('treats %s as no tuning', async (_, text) => {
    const file = await writeTuning(gpu, {});
    writeFileSync(file, text);
    expect(await readTuning(gpu)).toBeNull();
  });

  it("names the folder that can't be written", async () => {
    vi.stubEnv('XDG_CACHE_HOME', '/dev/null');
    await expect(writeTuning(gpu, {})).rejects.toMatchObject({
      code: 'INPUT_FILE',
      details: { hint: expect.stringContaining('XDG_CACHE_HOME') },
    });
    vi.stubEnv('XDG_CACHE_HOME', scratch);
  });
});
