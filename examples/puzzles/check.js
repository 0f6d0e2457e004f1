// @ts-check
// Shows what is still wrong with a puzzle: the gaps left in its text, and the cases that fail.
// Run: npm run build && node examples/puzzles/check.js rmsNorm | mRope | windowAttention
import { KernelError, openGpu } from 'm2-reasoning';
import { checkPuzzle, puzzles } from './puzzles.js';

const [name] = process.argv.slice(2);
if (!Object.hasOwn(puzzles, name ?? '')) {
  console.error(`node examples/puzzles/check.js ${Object.keys(puzzles).join(' | ')}`);
  process.exit(2);
}

const gpu = await openGpu();
try {
  const { gaps, rows } = await checkPuzzle(gpu, name);
  const right = rows.filter(({ ok }) => ok).length;
  const solution = `src/kernels/${puzzles[name].declaration.name}.wgsl`;
  console.table(rows, ['case', 'output', 'worstAt', 'expected', 'actual', 'verdict']);
  if (right === rows.length) {
    console.log(`Solved. Compare it with ${solution}.`);
  } else {
    for (const gap of gaps) console.log(gap);
    console.log(`Not solved: ${right} of ${rows.length} checks pass. The solution is ${solution}.`);
    process.exitCode = 1;
  }
} catch (error) {
  if (!(error instanceof KernelError)) throw error;
  console.error(error.message); // a compile error: file, line, column
  process.exitCode = 1;
} finally {
  gpu.destroy();
}
