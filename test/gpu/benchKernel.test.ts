import { afterAll, describe, expect, it } from 'vitest';
import { openGpu } from '../../src/gpu/device.ts';
import { defineKernel, type Kernel } from '../../src/gpu/kernel.ts';
import { type BenchRow, benchKernel } from '../../src/gpu/measure/benchKernel.ts';
import { measureAdapter } from '../../src/gpu/measure/measureAdapter.ts';
import { kernels } from '../../src/kernels/kernelSet.ts';

const gpu = await openGpu();
afterAll(() => gpu.destroy());

const QUICK = { rounds: 5, roundMs: 1 };

/** The kernel with only its smallest case, so that the check is short. */
function withOneCase(kernel: unknown, index = 0): Kernel {
  const { declaration } = kernel as Kernel;
  return defineKernel({ ...declaration, cases: [{ ...declaration.cases[index], weightDtype: 'bf16' }] });
}

function expectTimes(row: BenchRow): void {
  const { usPerCall, gbPerS, shareOfCopy, callsPerRound, clock } = row;
  for (const value of [usPerCall, gbPerS, shareOfCopy, callsPerRound]) {
    expect(value).toBeGreaterThan(0);
    expect(value).toBeLessThan(Infinity);
  }
  expect(gbPerS).toBeCloseTo(row.bytes / (usPerCall as number) / 1e3, 9);
  expect(['timestamps', 'wall clock']).toContain(clock);
}

describe('benchKernel', () => {
  it('counts bytes and operations from the contract, at the given sizes', async () => {
    const cases = [{ name: 'mine', sizes: { rows: 5, inDim: 6, outDim: 7 } }];
    const [row, ...more] = await benchKernel(gpu, withOneCase(kernels.matmul), { ...QUICK, cases });
    expect(more).toEqual([]);
    expect(row).toMatchObject({
      kernel: 'matmul',
      case: 'mine',
      weightDtype: 'bf16',
      bytes: 5 * 6 * 4 + 7 * 6 * 2 + 7 * 2 + 5 * 7 * 4, // x, weight, bias, out
      flops: 2 * 5 * 6 * 7,
      timesBaseline: null,
      verdict: 'ok',
    });
    expectTimes(row);
    expect(row.gflopPerS).toBeCloseTo(420 / (row.usPerCall as number) / 1e3, 9);
    expect(row.shareOfMultiplyAdd).toBeGreaterThan(0);
  });

  it('times the largest case by default, and counts a binding changed in place once', async () => {
    const { declaration } = kernels.add as unknown as Kernel;
    const add = defineKernel({ ...declaration, cases: declaration.cases.slice(0, 3) });
    const [row] = await benchKernel(gpu, add, QUICK);
    expect(row).toMatchObject({ case: 'odd sizes', weightDtype: null, bytes: 2 * 3 * 71 * 4, flops: null });
    expect(row).toMatchObject({ gflopPerS: null, shareOfMultiplyAdd: null });
    expectTimes(row);
  });

  it('takes ids, segments and a start from the default case for other sizes', async () => {
    const sizes = { patches: 7, qkvDim: 24, numHeads: 2 };
    const vision = withOneCase(kernels.visionAttention, 6); // segments of 12 and 4
    const [{ flops }] = await benchKernel(gpu, vision, { ...QUICK, cases: [{ name: 'seven', sizes }] });
    expect(flops).toBe(4 * 7 * 12 * 8); // seven queries, twelve keys each, eight columns over all heads

    const causal = withOneCase(kernels.causalAttention, 4);
    const shape = { tokens: 3, kvHeads: 1, headDim: 4, context: 9, qkvDim: 16, start: 5 };
    const [row] = await benchKernel(gpu, causal, { ...QUICK, cases: [{ name: 'start', sizes: shape }] });
    expect(row.flops).toBe(4 * 8 * (6 + 7 + 8)); // two heads of four, each query's keys
  });

  it('times a variant with its baseline, and gives the ratio', async () => {
    const baseline = withOneCase(kernels.add);
    const wide = baseline.variant({ name: 'add/wide', constants: { WORKGROUP_SIZE: 128 } });
    const rows = await benchKernel(gpu, wide, { ...QUICK, baseline });
    expect(rows.map(({ kernel }) => kernel)).toEqual(['add', 'add/wide']);
    rows.forEach(expectTimes);
    expect(rows[0].timesBaseline).toBe(1);
    const ratio = (rows[0].usPerCall as number) / (rows[1].usPerCall as number);
    expect(rows[1].timesBaseline).toBeCloseTo(ratio, 9);
  });

  it('does not time a kernel that fails its check', async () => {
    const baseline = withOneCase(kernels.add);
    const text = await gpu.readText(baseline.declaration.code as URL);
    const wrong = baseline.variant({
      name: 'add/wrong',
      code: text.replace('hidden[index] += delta', 'hidden[index] -= delta'),
    });
    const rows = await benchKernel(gpu, wrong, { ...QUICK, baseline });
    expectTimes(rows[0]);
    expect(rows[1]).toMatchObject({
      kernel: 'add/wrong',
      bytes: rows[0].bytes,
      usPerCall: null,
      gbPerS: null,
      timesBaseline: null,
      shareOfCopy: null,
      callsPerRound: null,
      clock: null,
      verdict: expect.stringMatching(/^not timed: odd sizes, hidden: 213 of 213 values further off/),
    });
  });

  it('measures the adapter once', async () => {
    const rates = await measureAdapter(gpu);
    expect(await measureAdapter(gpu)).toBe(rates);
    expect(rates.copyGbPerS).toBeGreaterThan(0);
    expect(rates.multiplyAddGflopPerS).toBeGreaterThan(0);
  });
});
