/** Do the cases of a kernel notice a mistake in its text? Each of these deliberate mistakes must be found. */
import { afterAll, describe, expect, it } from 'vitest';
import type { KernelCase, KernelDeclaration } from '../../src/gpu/declaration.ts';
import { openGpu } from '../../src/gpu/device.ts';
import { defineKernel, type Kernel } from '../../src/gpu/kernel.ts';
import { contractBytes } from '../../src/gpu/measure/benchKernel.ts';
import { type CheckRow, checkRows } from '../../src/gpu/measure/checkKernel.ts';
import { kernelText } from '../../src/gpu/readKernel.ts';
import type { WeightDtype } from '../../src/gpu/weightFormats.ts';
import { kernels } from '../../src/kernels/kernelSet.ts';
import { lacksF16 } from '../lacksF16.ts';
import { FAST_MUTANTS } from './fastMutants.ts';
import type { Mutant } from './mutant.ts';
import { PLAIN_MUTANTS } from './plainMutants.ts';

const MUTANTS = [...PLAIN_MUTANTS, ...FAST_MUTANTS];
const LARGEST_CASE_BYTES = 100_000; // larger cases take most of the time, and find nothing more
const SPLIT_BYTES = 2100; // a panel of the cases' longest rows fits, and so does the longest bias: only one binding may be split

const gpu = await openGpu();
const splitting = await openGpu({ maxBindingBytes: SPLIT_BYTES });
afterAll(() => {
  gpu.destroy();
  splitting.destroy();
});

describe('a mistake is found', () => {
  it.each(MUTANTS)('$kernel: $broken', async ({ kernel: name, find, replace, weights }) => {
    const { declaration } = kernels[name] as unknown as Kernel;
    const text = await kernelText(gpu, declaration);
    expect(text.split(find)).toHaveLength(2);

    const broken = { ...declaration, code: text.replace(find, replace), helpers: [] };
    if (await lacksF16(gpu, declaration)) {
      await expect(firstWrong(broken, weights)).rejects.toMatchObject({ code: 'KERNEL_FEATURE' });
      return;
    }
    expect(await firstWrong(broken, weights)).toMatchObject({ ok: false });
  });

  it('in every text, and in every ending of a linear layer', () => {
    const textOf = (name: string) => String((kernels[name as 'add'] as unknown as Kernel).declaration.code);
    const broken = new Set(MUTANTS.map(({ kernel }) => textOf(kernel)));
    expect(Object.keys(kernels).filter((name) => !broken.has(textOf(name)))).toEqual([]);
    const endings = MUTANTS.map(({ kernel }) => kernel.match(/(?:Add|Gate|Gelu)$/)?.[0]);
    expect(endings).toEqual(expect.arrayContaining(['Add', 'Gate', 'Gelu']));
  });
});

describe('weights in pieces are not a mistake', () => {
  it.each(['embedPanels', 'gemvPanels', 'gemvPanelsGate'] as const)('%s', async (name) => {
    expect(await firstWrong((kernels[name] as unknown as Kernel).declaration, 'split')).toBeUndefined();
  });
});

/** The first of the cheap cases that fails; all have weights of one dtype, so that the text is compiled once. */
async function firstWrong(
  declaration: KernelDeclaration,
  weights?: Mutant['weights'],
): Promise<CheckRow | undefined> {
  const weightDtype: WeightDtype = weights === 'f32' || weights === 'f16' ? weights : 'bf16';
  const cases = declaration.cases
    .filter((one) => isCheap(declaration, one))
    .map((one) => ({ ...one, weightDtype }));
  const rows = checkRows(weights === 'split' ? splitting : gpu, defineKernel({ ...declaration, cases }));
  for await (const row of rows) if (!row.ok) return row;
  return undefined;
}

function isCheap(declaration: KernelDeclaration, { sizes }: KernelCase): boolean {
  return contractBytes(declaration, sizes, 'f32') <= LARGEST_CASE_BYTES;
}
