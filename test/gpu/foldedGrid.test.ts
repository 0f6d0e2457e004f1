/** More workgroups than one axis of a grid has: the host folds the grid, and the text puts it together again with flatGroup. */
import { afterAll, describe, expect, it } from 'vitest';
import { openGpu } from '../../src/gpu/device.ts';
import { defineKernel, type Kernel } from '../../src/gpu/kernel.ts';
import { checkKernel } from '../../src/gpu/measure/checkKernel.ts';
import { kernelText } from '../../src/gpu/readKernel.ts';
import { kernels } from '../../src/kernels/kernelSet.ts';

const GROUPS = 65_601; // 2 x 32,801: one workgroup too many, which has to leave
const CASES = {
  add: { rows: GROUPS, dim: 1 }, // one thread for each value
  argmax: { rows: GROUPS, vocab: 2 }, // one workgroup for each row
  l2Normalize: { rows: GROUPS, dim: 2, eps: 1e-5 },
  rmsNorm: { rows: GROUPS, dim: 2, eps: 1e-5 },
  rowScales: { rows: GROUPS, inDim: 2 },
} as const;

const gpu = await openGpu();
afterAll(() => gpu.destroy());

/** Workgroups of one thread: they are as many, and a software adapter is through with them in a tenth of the time. */
function folded(name: keyof typeof CASES): Kernel['declaration'] {
  const { declaration } = (kernels[name] as unknown as Kernel).variant({ constants: { WORKGROUP_SIZE: 1 } });
  return { ...declaration, cases: [{ name: 'folded', sizes: CASES[name], weightDtype: 'bf16' }] };
}

describe('a folded grid', () => {
  it.each(Object.keys(CASES) as (keyof typeof CASES)[])('%s', async (name) => {
    expect(await checkKernel(gpu, defineKernel(folded(name)))).toMatchObject([{ verdict: 'ok' }]);
  });

  it('is noticed by a text that looks at one axis only', async () => {
    const declaration = folded('rmsNorm');
    const text = await kernelText(gpu, declaration);
    const code = text.replace('group.y * groups.x + group.x', 'group.x');
    expect(code).not.toBe(text);
    const [{ verdict }] = await checkKernel(gpu, defineKernel({ ...declaration, code, helpers: [] }));
    expect(verdict).toMatch(/ not written$/);
  });
});
