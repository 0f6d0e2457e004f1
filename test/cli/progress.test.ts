import { expect, test } from 'vitest';
import { openProgress } from '../../src/cli/progress.node.ts';

/** The output for a progress line, a permanent line, and a clear. */
function written(quiet: boolean, terminal: { isTTY: boolean; columns: number }): string {
  let output = '';
  const write = (text: string | Uint8Array) => {
    output += text;
    return true;
  };
  const progress = openProgress(quiet, { ...terminal, write });
  progress.update('loading 1 %');
  progress.update('loading 20 %');
  progress.line('loaded');
  progress.clear();
  return output;
}

const ERASE = '\r\x1b[2K';

test('a terminal gets one line that is rewritten, no wider than the terminal', () => {
  const lines = `${ERASE}loading 1 %${ERASE}loading 20 %${ERASE}loaded\n`;
  expect(written(false, { isTTY: true, columns: 80 })).toBe(lines);
  expect(written(false, { isTTY: true, columns: 0 })).toBe(lines); // some terminals don't know theirs
  expect(written(false, { isTTY: true, columns: 8 })).toBe(`${ERASE}loading${ERASE}loading${ERASE}loaded\n`);
  expect(written(false, { isTTY: true, columns: 1 })).toBe(`${ERASE}${ERASE}${ERASE}loaded\n`);
});

test('a file or a pipe gets only the permanent lines', () => {
  expect(written(false, { isTTY: false, columns: 80 })).toBe('loaded\n');
});

test('quiet writes nothing', () => {
  for (const isTTY of [true, false]) expect(written(true, { isTTY, columns: 80 })).toBe('');
});
