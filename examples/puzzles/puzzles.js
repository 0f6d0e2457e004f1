// @ts-check
// The puzzles and their check.
import { readFile } from 'node:fs/promises';
import { checkKernel, defineKernel, kernels } from 'm2-reasoning';

/** @typedef {import('m2-reasoning').Kernel} Kernel */

/** The kernel behind each puzzle, with its contract, cases and tolerance. */
export const puzzles = /** @type {Record<string, Kernel>} */ (
  /** @type {unknown} */ ({
    rmsNorm: kernels.rmsNorm,
    mRope: kernels.mRope,
    windowAttention: kernels.visionAttention,
  })
);

/** The URL of a puzzle's text. @param {string} name */
export const textOf = (name) => new URL(`./${name}.wgsl`, import.meta.url);

/**
 * Checks a puzzle.
 *
 * @param {import('m2-reasoning').Gpu} gpu
 * @param {string} name of a puzzle
 * @param {{ code?: URL, cases?: Kernel['declaration']['cases'] }} [changes] another text or other cases
 * @returns the gaps that are still in the text, as `file.wgsl:line GAP …`, and a row for each case
 * @throws KernelError if the text does not compile
 */
export async function checkPuzzle(gpu, name, { code = textOf(name), cases } = {}) {
  const { declaration } = puzzles[name];
  const kernel = defineKernel({ ...declaration, name, code, cases: cases ?? declaration.cases });
  const lines = (await readFile(code, 'utf8')).split('\n');
  const gaps = lines.flatMap((line, index) => {
    const gap = line.match(/^ +\/\/ (GAP \d.*)/);
    return gap ? [`${name}.wgsl:${index + 1} ${gap[1]}`] : [];
  });
  return { gaps, rows: await checkKernel(gpu, kernel) };
}
