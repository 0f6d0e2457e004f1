import { readFile } from 'node:fs/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { openGpu } from '../../src/gpu/device.ts';
import { kernels } from '../../src/kernels/index.ts';
import { M2Reasoning } from '../../src/model/m2Reasoning.ts';
import { listCases } from '../../src/parity/golden.node.ts';
import { runParity } from '../../src/parity/runParity.node.ts';
import { goldens } from '../readTensors.ts';

const gpu = await openGpu();
afterAll(() => gpu.destroy());
const cases = await listCases(goldens);

describe.each(['fast', 'plain'] as const)(
  `golden cases, every stage and every token, on ${gpu.description}, %s`,
  (kernelSet) => {
    it.each(cases)('%s', async (name) => {
      const [report] = await runParity(goldens, { gpu, case: name, kernelSet });
      const failures = report.rows.filter(({ ok }) => !ok);
      expect(failures, `first divergence: ${report.firstDivergence}`).toEqual([]);
      expect(report.rows.some(({ stage }) => stage === 'greedy_ids')).toBe(true);
    });
  },
);

describe('model.compareWith', () => {
  it('names the first stage that a wrong kernel changes, and refuses a golden of another checkpoint', async () => {
    const mirrored = kernels.gelu.variant({
      name: 'gelu/mirrored',
      code: (await readFile(new URL('../../src/kernels/gelu.wgsl', import.meta.url), 'utf8')).replace(
        '(1.0 + erf(',
        '(1.0 - erf(',
      ),
    });
    const model = await M2Reasoning.load(`${goldens}checkpoints/mrope-bf16`, {
      gpu,
      kernels: { gelu: mirrored },
    });
    const report = await model.compareWith(`${goldens}cases/mrope-bf16/one-png-224`);
    expect(report).toMatchObject({ ok: false, firstDivergence: 'vision.output' });
    const other = model.compareWith(`${goldens}cases/video-rope-f32/text-only/`);
    await expect(other).rejects.toMatchObject({ code: 'PARITY_CHECKPOINT' });
    await expect(model.compareWith(goldens)).rejects.toMatchObject({ code: 'PARITY_GOLDEN_MISSING' });
    await model.destroy();
  });
});
