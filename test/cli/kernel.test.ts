import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { kernel } from '../../src/cli/kernel.node.ts';
import { kernels } from '../../src/kernels/kernelSet.ts';
import { m2, root, runToEnd } from './helpers.ts';

const scratch = mkdtempSync(join(tmpdir(), 'm2-kernel-'));
afterAll(() => rmSync(scratch, { recursive: true }));
mkdirSync(join(scratch, 'node_modules'));
symlinkSync(root, join(scratch, 'node_modules', 'm2-reasoning'), 'junction');

const addText = readFileSync(join(root, 'src', 'kernels', 'plain', 'add.wgsl'), 'utf8');

/** Writes a modified add.wgsl. @returns the path */
function changedAdd(file: string, find: string, replace: string): string {
  expect(addText.split(find)).toHaveLength(2);
  const path = join(scratch, file);
  writeFileSync(path, addText.replace(find, replace));
  return path;
}

const right = changedAdd(
  'right.wgsl',
  'hidden[index] += delta[index]',
  'hidden[index] = delta[index] + hidden[index]',
);
const empty = join(scratch, 'empty.mjs');
writeFileSync(empty, 'export const kernel = 1;\n');
const wrong = changedAdd('wrong.wgsl', 'hidden[index] +=', 'hidden[index] -=');

describe.concurrent('m2 kernel', () => {
  test('list shows every kernel: formula, shapes, constants', async () => {
    const { exitCode, stdout, errorLines } = await m2(['kernel', 'list']);
    expect([exitCode, errorLines]).toEqual([0, []]);
    for (const name of Object.keys(kernels)) expect(stdout).toMatch(new RegExp(`^${name}   \\S`, 'm'));
    expect(stdout).toContain(
      'add   hidden[row, i] += delta[row, i]\n    hidden [rows, dim] f32 (in place), delta [rows, dim] f32\n    WORKGROUP_SIZE 64\n',
    );
    expect(stdout).toContain('out [patches, qkvDim / 3] f32 (written)');
    expect(stdout).toMatch(/^matmulPanelsHalf {3}.* \(needs shader-f16\)$/m);
  });

  test('show prints the path, the contract and the text', async () => {
    const { exitCode, stdout } = await m2(['kernel', 'show', 'gemv']);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^dist.kernels.plain.gemv\.wgsl\n/);
    expect(stdout).toMatch(/bindings +@binding\(0\) +x +\[1, inDim\] f32\n/);
    expect(stdout).toMatch(/tolerance +0 \+ 0\.000005/);
    expect(stdout).toContain(readFileSync(join(root, 'src', 'kernels', 'plain', 'gemv.wgsl'), 'utf8'));
  });

  test('check of a standard kernel and of a correct text', async () => {
    const standard = await m2(['kernel', 'check', 'add']);
    expect(standard.exitCode).toBe(0);
    expect(standard.stdout).toMatch(
      /^case +output +max abs +max rel +bound +worst at +expected +actual +verdict\n/,
    );
    expect(standard.stdout).toMatch(/^odd sizes +hidden .* \[\d, \d+\] .* ok$/m);
    expect(standard.stdout).toContain('\nadd: 6 of 6 correct, on ');

    const variant = await m2([
      'kernel',
      'check',
      right,
      '--as',
      'add',
      '--constants',
      'WORKGROUP_SIZE=32',
      '--json',
      '--in-process',
    ]);
    expect(variant.exitCode).toBe(0);
    const { rows, ...about } = JSON.parse(variant.stdout);
    expect(about).toEqual({ kernel: 'add/right', adapter: expect.any(String) });
    expect(rows.map(({ ok }: { ok: boolean }) => ok)).toEqual(Array(6).fill(true));
  });

  test('check of a wrong text exits with 1, and the table shows where it is wrong', async () => {
    const { exitCode, stdout, errorLines } = await m2([
      'kernel',
      'check',
      wrong,
      '--as',
      'add',
      '--in-process',
    ]);
    expect([exitCode, errorLines]).toEqual([1, []]);
    expect(stdout).toMatch(/^odd sizes .* 213 of 213 values further off than /m);
    expect(stdout).toContain('add/wrong: 1 of 6 correct'); // zeros have no sign
  });

  test('a text that does not compile is quoted, with a caret', async () => {
    const file = changedAdd('broken.wgsl', 'let index =', 'let index = nothing +');
    const { exitCode, errorLines } = await m2(['kernel', 'check', file, '--as', 'add']);
    expect(exitCode).toBe(4);
    const line = '  let index = nothing + flatGroup(group, groups) * WORKGROUP_SIZE + thread;';
    const at = addText.split('\n').findIndex((text) => text.includes('let index =')) + 1;
    expect(errorLines[0]).toMatch(new RegExp(`broken\\.wgsl:${at}:15$`));
    expect(errorLines.slice(1, 3)).toEqual([line, `${' '.repeat(14)}^`]);
    expect(errorLines[3]).toMatch(/^m2: KERNEL_COMPILE: broken\.wgsl:\d+:15 unresolved value 'nothing'/);
  });

  test('an endless loop is stopped at the deadline', async () => {
    const file = changedAdd(
      'endless.wgsl',
      '  if (index <',
      '  while (arrayLength(&delta) > 0u) { hidden[0] += 1.0; }\n  if (index <',
    );
    const { exitCode, stdout, errorLines } = await m2([
      'kernel',
      'check',
      file,
      '--as',
      'add',
      '--timeout-s',
      '2',
    ]);
    expect([exitCode, stdout]).toEqual([4, '']);
    expect(errorLines).toEqual([
      expect.stringMatching(/^m2: KERNEL_TIMEOUT: .*endless\.wgsl was stopped after 2 s/),
    ]);
  });

  test('bench with a file: a table with both kernels; a wrong one is not timed', async () => {
    const { exitCode, stdout } = await m2(['kernel', 'bench', 'add', wrong, '--shape', 'rows=2,dim=100']);
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(
      /^kernel +case +weights +µs +GB\/s +GFLOP\/s +× baseline +of copy +of f32 +verdict\n/,
    );
    expect(stdout).toMatch(/^add +rows 2, dim 100 +[\d.]+ +[\d.]+ +- +1 +[\d.]+ % +- +ok$/m);
    expect(stdout).toMatch(/^add\/wrong +rows 2, dim 100 +- +- +- +- +- +- +not timed: odd sizes/m);
    expect(stdout).toMatch(/reaches [\d.]+ GB\/s in a plain copy, [\d.]+ GFLOP\/s in f32 multiply-adds\n$/);
  });

  test('new writes a kernel that passes its own check, and never overwrites files', async () => {
    const folder = join(scratch, 'mine');
    expect((await m2(['kernel', 'new', 'scaleRows', '--dir', folder])).exitCode).toBe(0);
    const file = join(folder, 'scaleRows.js');
    const checked = await m2(['kernel', 'check', file]);
    expect([checked.exitCode, checked.errorLines]).toEqual([0, []]);
    expect(checked.stdout).toContain('scaleRows: 5 of 5 correct');
    const alone = await runToEnd(process.execPath, [file]);
    expect([alone.exitCode, alone.errorLines]).toEqual([0, []]);
    expect(alone.stdout.match(/'ok'/g)).toHaveLength(5);

    const again = await m2(['kernel', 'new', 'scaleRows', '--dir', folder]);
    expect(again.exitCode).toBe(3);
    expect(again.errorLines[0]).toMatch(/^m2: INPUT_FILE: .*scaleRows\.wgsl already exists/);
  });

  test('--watch checks again when the file is saved, and stops a running check', async () => {
    const file = changedAdd(
      'watched.wgsl',
      '  if (index <',
      '  while (arrayLength(&delta) > 0u) { hidden[0] += 1.0; }\n  if (index <',
    );
    const child = spawn(process.execPath, [
      join(root, 'dist', 'cli.node.js'),
      'kernel',
      'check',
      file,
      '--as',
      'add',
      '--watch',
    ]);
    const output = collect(child);
    const exited = new Promise((done) => child.on('exit', done));
    try {
      await new Promise((done) => setTimeout(done, 300)); // until the loop is running, or about to
      writeFileSync(file, readFileSync(right, 'utf8'));
      await output.has('add/watched: 6 of 6 correct');
      await output.has('watching ');
      writeFileSync(file, readFileSync(wrong, 'utf8'));
      await output.has('add/watched: 1 of 6 correct');
      child.kill('SIGINT');
      expect(await exited).toBe(130);
    } finally {
      child.kill('SIGKILL');
    }
  });

  test.each([
    [[], 'no action, expected list, show, check, bench or new'],
    [['chek'], 'unknown action chek'],
    [['check'], 'NAME is missing'],
    [['check', 'add', 'gemv'], 'unexpected argument "gemv"'],
    [['show', 'ad'], 'there is no kernel ad, expected one of add, causalAttention'],
    [['check', right], 'needs --as NAME'],
    [['check', 'add', '--as', 'gemv'], '--as is for check FILE.wgsl'],
    [['check', 'add', '--shape', 'rows=1'], '--shape and --dtype are for bench'],
    [['check', 'add', '--constants', 'A'], '--constants: "A" is not NAME=NUMBER'],
    [['check', 'add', '--timeout-s', '0'], '--timeout-s is 0'],
    [['bench', right, 'add'], 'the kernel comes first'],
    [['new', 'class'], 'NAME is "class"'],
  ])('%j is wrong usage', async (args, message) => {
    const run = kernel.run(args, new AbortController().signal);
    await expect(run).rejects.toMatchObject({
      name: 'UsageError',
      message: expect.stringContaining(message),
    });
  });

  test.each([
    [['check', join(scratch, 'lost.wgsl'), '--as', 'add'], "lost.wgsl can't be read"],
    [['check', join(scratch, 'lost.js')], "lost.js can't be loaded"],
    [['check', empty], 'exports 0 kernels'],
  ])('%j is wrong input', async (args, message) => {
    const { exitCode, errorLines } = await m2(['kernel', ...args, '--in-process']);
    expect(exitCode).toBe(3);
    expect(errorLines).toEqual([expect.stringContaining(message)]);
    expect(errorLines[0]).toMatch(/^m2: INPUT_FILE: /);
  });

  test('a size that the kernel does not have', async () => {
    const { exitCode, errorLines } = await m2(['kernel', 'bench', 'add', '--in-process', '--shape', 'row=1']);
    expect(exitCode).toBe(2);
    expect(errorLines[0]).toContain('there is no size row, expected one of rows, dim');
  });
});

/** The output of a process. `has` waits for a text in the part that was not waited for yet. */
function collect(child: ChildProcess) {
  let text = '';
  const listeners = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (more: string) => {
      text += more;
      for (const listener of listeners) listener();
    });
  }
  const has = (part: string) =>
    new Promise<void>((done) => {
      const look = () => {
        const at = text.indexOf(part);
        if (at < 0) return;
        text = text.slice(at + part.length);
        listeners.delete(look);
        done();
      };
      listeners.add(look);
      look();
    });
  return { has };
}
