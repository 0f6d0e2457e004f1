import { afterAll, describe, expect, it } from 'vitest';
import { openGpu } from '../../src/gpu/device.ts';
import type { Kernel } from '../../src/gpu/kernel.ts';
import { checkKernel } from '../../src/gpu/measure/checkKernel.ts';
import { kernels } from '../../src/kernels/kernelSet.ts';
import { lacksF16 } from '../lacksF16.ts';

const gpu = await openGpu();
afterAll(() => gpu.destroy());

describe(`every kernel equals its float64 reference on ${gpu.description}`, () => {
  for (const [name, kernel] of Object.entries(kernels)) {
    it(name, async () => {
      const isMissing = await lacksF16(gpu, kernel.declaration as unknown as Kernel['declaration']);
      const checked = checkKernel(gpu, kernel as unknown as Kernel);
      if (isMissing) {
        const missing = { code: 'KERNEL_FEATURE', details: { kernel: name, expected: 'shader-f16' } };
        await expect(checked).rejects.toMatchObject(missing);
        return;
      }
      const rows = await checked;
      const failures = rows.filter(({ ok }) => !ok);
      expect(failures, JSON.stringify(failures, null, 1)).toEqual([]);
      expect(rows.length).toBeGreaterThan(0);
    });
  }
});
