import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { examples } from './tinyExamples.ts';

const root = new URL('..', import.meta.url).pathname;

function run(script: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync('node', [script, ...args], {
    cwd: root,
    encoding: 'utf8',
    timeout: 100_000,
  });
  expect(status, stderr).toBe(0);
  return stdout;
}

// 01-ask-about-a-picture.js runs in package.test.ts.
describe('the examples run and print what they promise', () => {
  it.each([
    ['examples/00-the-whole-model.js', examples[0].reference_output],
    ['examples/02-look-inside.js', 'logits.steps'],
    ['examples/03-write-a-kernel.js', 'true'],
    ['examples/04-replace-a-kernel.js', 'true'],
    ['examples/05-choose-the-tokens.js', 'of the four: {A 0.99'],
  ])('%s', (script, promised) => {
    expect(run(script)).toContain(promised);
  });
});

it('the benchmark runs on both shapes', () => {
  expect(run('bench/bench.js', '--runs', '1', '--decode', '3')).toMatch(/decode +[\d.]+ tokens\/s/);
  const half = [
    '--shape',
    '0.5b',
    '--layers',
    '1',
    '--runs',
    '1',
    '--decode',
    '3',
    '--prefill',
    '4',
    '--kernel-set',
    'fast',
  ];
  expect(run('bench/bench.js', ...half)).toMatch(/dispatches +\d+.* per token/);
});
