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

describe.each(['fast', 'plain'] as const)(
  'golden cases, every stage and every token, %s kernels',
  (kernelSet) => {
    const reports = new Map<string, CaseReport>();
    beforeAll(async () => {
      // All in one: each checkpoint is loaded once.
      for (const report of await runParity(goldens, { gpu, kernelSet })) reports.set(report.case, report);
    }, 5 * MINUTES);

    it.each(cases)(`%s, on ${gpu.description}`, (name) => {
      const report = reports.get(name) as CaseReport;
      const failures = report.rows.filter(({ ok }) => !ok);
      expect(failures, `first divergence: ${report.firstDivergence}`).toEqual([]);
      expect(report.rows.some(({ stage }) => stage === 'greedy_ids')).toBe(true);
    });
  },
);

describe('compareWith', () => {
  it('names the first stage that a wrong kernel changes, and refuses a golden of another checkpoint', async () => {
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
