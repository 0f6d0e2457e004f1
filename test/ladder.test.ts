/** The steps of docs/kernel-ladder.md are correct, and each puzzle fails until its gaps are filled. */
import { readFileSync } from 'node:fs';
import { checkKernel, defineKernel, type Kernel, openGpu } from 'm2-reasoning';
import { afterAll, describe, expect, it } from 'vitest';
import { steps } from '../examples/matmul/steps.js';
import { checkPuzzle, puzzles, textOf } from '../examples/puzzles/puzzles.js';

type Declaration = Kernel['declaration'];

const gpu = await openGpu();
afterAll(() => gpu.destroy());

describe('a step of the ladder equals the definition', () => {
  const all = steps.flatMap(({ kernels }) => kernels.map(({ declaration }) => declaration));
  // The other ones are kernels of the library, which kernels.test.ts checks.
  const declarations = all.filter(({ code }) => /examples.matmul/.test(String(code)));

  it('has a text of its own, or is a kernel of the library', () => {
    expect(declarations.map(({ name }) => name)).toEqual(['1-naive', '2-pairs', '5-workgroup']);
  });

  it.each(declarations)('$name', async (declaration) => {
    const rows = await checkKernel(gpu, defineKernel({ ...declaration, cases: cheapCases(declaration) }));
    expect(rows.length).toBeGreaterThan(3);
    expect(rows.filter(({ ok }) => !ok)).toEqual([]);
  });

  it.each(steps)('the document has the figures of $name', ({ name }) => {
    const document = readFileSync(new URL('../docs/kernel-ladder.md', import.meta.url), 'utf8');
    expect(document).toMatch(new RegExp(`^\\| \\[${name}\\]\\(\\S+\\) \\| [\\d.]+ \\| [\\d.]+ \\|`, 'm'));
  });
});

describe.each(Object.keys(puzzles))('the puzzle %s', (name) => {
  const { declaration } = puzzles[name];
  const solution = declaration.code as URL;
  const cases = cheapCases(declaration);

  it('as shipped lists its gaps and fails', async () => {
    const { gaps, rows } = await checkPuzzle(gpu, name, { cases });
    const place = `${name}.wgsl:\\d+ GAP`;
    expect(gaps.join('\n')).toMatch(new RegExp(`^${place} 1: .+\n${place} 2: .+\n${place} 3: .+$`));
    const wrong = rows.filter(({ ok }) => !ok);
    expect(wrong.length).toBeGreaterThanOrEqual(rows.length - 1); // zeros rotated are zeros
    for (const { verdict } of wrong) expect(verdict).toMatch(/^\d+ of \d+ values (not written|further off)/);
  });

  it('is solved by the text of the kernel', async () => {
    const { gaps, rows } = await checkPuzzle(gpu, name, { code: solution, cases });
    expect(gaps).toEqual([]);
    expect(rows.filter(({ ok }) => !ok)).toEqual([]);
  });

  it('equals that text except for its gaps', () => {
    const left = codeLines(solution);
    for (const line of codeLines(textOf(name))) {
      const found = left.indexOf(line);
      expect(found, `not in the solution, or in another order: ${line}`).toBeGreaterThanOrEqual(0);
      left.splice(0, found + 1);
    }
  });
});

/** The cases without the largest, which take most of the time; with bf16 weights unless the case says otherwise. */
function cheapCases({ cases }: Declaration): Declaration['cases'] {
  return cases
    .filter(({ name }) => !/the 7B/.test(name))
    .map((one) => ({ weightDtype: 'bf16' as const, ...one }));
}

/** The lines of code, without comment lines and without the placeholders of gaps. */
function codeLines(text: URL): string[] {
  const lines = readFileSync(text, 'utf8').split('\n');
  return lines.filter((line) => line.trim() !== '' && !/^ *\/\/|\/\/ GAP$/.test(line));
}
