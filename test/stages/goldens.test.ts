import { afterAll, describe, expect, it } from 'vitest';
import { openGpu } from '../../src/gpu/device.ts';
import { listCases } from '../../src/parity/golden.node.ts';
import { runParity } from '../../src/parity/runParity.node.ts';
import { goldens } from '../readTensors.ts';

const gpu = await openGpu();
afterAll(() => gpu.destroy());
const cases = await listCases(goldens);

describe(`golden cases, every stage and every token, on ${gpu.description}`, () => {
  it.each(cases)('%s', async (name) => {
    const [report] = await runParity(goldens, { gpu, case: name });
    const failures = report.rows.filter(({ ok }) => !ok);
    expect(failures, `first divergence: ${report.firstDivergence}`).toEqual([]);
    expect(report.rows.some(({ stage }) => stage === 'greedy_ids')).toBe(true);
  });
});
