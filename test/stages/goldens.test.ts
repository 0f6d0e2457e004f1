import { readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { kernels } from '../../src/kernels/kernelSet.ts';
import { M2Reasoning } from '../../src/model/m2Reasoning.ts';
import { compareWith } from '../../src/parity/compareWith.node.ts';
import { listCases } from '../../src/parity/golden.node.ts';
import type { CaseReport } from '../../src/parity/report.ts';
import { runParity } from '../../src/parity/runParity.node.ts';
import { goldens } from '../readTensors.ts';
import { sharedGpu } from '../sharedGpu.ts';

const gpu = await sharedGpu();
const cases = await listCases(goldens);

const MINUTES = 60_000;

function expectToPass({ rows, firstDivergence }: CaseReport): void {
  const failures = rows.filter(({ ok }) => !ok);
  expect(failures, `first divergence: ${firstDivergence}`).toEqual([]);
  expect(rows.some(({ stage }) => stage === 'greedy_ids')).toBe(true);
}

describe('golden cases, every stage and every token, fast kernels', () => {
  const reports = new Map<string, CaseReport>();
  beforeAll(async () => {
    // All in one run, so that each checkpoint is loaded once.
    for (const report of await runParity(goldens, { gpu })) reports.set(report.case, report);
  }, 5 * MINUTES);

  it.each(cases)(`%s, on ${gpu.description}`, (name) => expectToPass(reports.get(name) as CaseReport));
});

/** One case of each kind that differs on the GPU. Images and prompts use the same code as above. */
const plainCases = [
  'mrope-bf16/text-only',
  'mrope-bf16/one-png-224', // whole windows
  'mrope-bf16/multi-turn-300x150', // windows cut off at two sides
  'mrope-bf16/strip-400x20', // a grid lower than a window
  'mrope-bf16/two-images',
  'rope-1d-f16/second-resize-300x150', // a tied embedding
  'rope-1d-f16/two-images-intended',
  'video-rope-f32/multi-turn-strip.generate-int-scale',
  'video-rope-f32/one-png-100x60.forward-int-scale', // swapped sections
  'seven-b-slice/image-112x140',
];

describe('golden cases, every stage and every token, plain kernels', () => {
  it.each(plainCases)(`%s, on ${gpu.description}`, async (name) => {
    const [report] = await runParity(goldens, { gpu, kernelSet: 'plain', case: name });
    expectToPass(report);
  });
});

describe('compareWith', () => {
  it('names the first stage that a wrong kernel changes, and refuses a case of another checkpoint', async () => {
    const mirrored = kernels.gelu.variant({
      name: 'gelu/mirrored',
      code: (await readFile(new URL('../../src/kernels/plain/gelu.wgsl', import.meta.url), 'utf8')).replace(
        'gelu(x[index])',
        'gelu(-x[index])',
      ),
    });
    const model = await M2Reasoning.load(`${goldens}checkpoints/mrope-bf16`, {
      gpu,
      kernels: { gelu: mirrored },
    });
    const report = await compareWith(model, `${goldens}cases/mrope-bf16/one-png-224`);
    expect(report).toMatchObject({ ok: false, firstDivergence: 'vision.output' });
    const other = compareWith(model, `${goldens}cases/video-rope-f32/text-only/`);
    await expect(other).rejects.toMatchObject({ code: 'PARITY_CHECKPOINT' });
    await expect(compareWith(model, goldens)).rejects.toMatchObject({ code: 'PARITY_GOLDEN_MISSING' });
    await model.destroy();
    const gone = compareWith(model, `${goldens}cases/mrope-bf16/text-only`);
    await expect(gone).rejects.toMatchObject({ code: 'GEN_DISPOSED' });
  });
});
