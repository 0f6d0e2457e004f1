import { afterAll, describe, expect, it } from 'vitest';
import { checkKernel } from '../../src/gpu/checkKernel.ts';
import { openGpu } from '../../src/gpu/device.ts';
import type { Kernel } from '../../src/gpu/kernel.ts';
import { kernels } from '../../src/kernels/index.ts';

const gpu = await openGpu();
afterAll(() => gpu.destroy());

describe(`every kernel equals its float64 definition on ${gpu.description}`, () => {
  for (const [name, kernel] of Object.entries(kernels)) {
    it(name, async () => {
      const rows = await checkKernel(gpu, kernel as unknown as Kernel);
      const failures = rows.filter(({ ok }) => !ok);
      expect(failures, JSON.stringify(failures, null, 1)).toEqual([]);
      expect(rows.length).toBeGreaterThan(0);
    });
  }
});
