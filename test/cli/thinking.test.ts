import { describe, expect, test } from 'vitest';
import { ThinkingStyle } from '../../src/cli/thinking.ts';

const DIM = '\x1b[2m';
const NOT_DIM = '\x1b[22m';

/** [text, the same text with dimmed parts in brackets] */
const texts: [string, string][] = [
  [
    '<think>\nTwo < three.\n</think>\n<answer>2</answer>',
    '[<think>\nTwo < three.\n</think>]\n<answer>2</answer>',
  ],
  ['a<think>b</think>c<think>d</think>', 'a[<think>b</think>]c[<think>d</think>]'],
  ['<think>cut off </thi', '[<think>cut off </thi]'],
  ['<<think><think></</think></think>', '<[<think><think></</think>]</think>'],
  ['no tag <thin king> </think> <', 'no tag <thin king> </think> <'],
];

describe('ThinkingStyle', () => {
  test.for(texts)('%j, split anywhere', ([text, expected]) => {
    for (let first = 0; first <= text.length; first++) {
      for (let second = first; second <= text.length; second++) {
        const pieces = [text.slice(0, first), text.slice(first, second), text.slice(second)];
        expect(bracketed(styled(pieces)), JSON.stringify(pieces)).toBe(expected);
      }
    }
    expect(bracketed(styled([...text]))).toBe(expected);
  });

  test('holds back only what may be a tag', () => {
    const style = new ThinkingStyle();
    expect([style.push('So <'), style.push('b> <thi'), style.push('s')]).toEqual(['So ', '<b> ', '<this']);
    expect(style.end()).toBe('');
  });
});

/** The output for each piece, which must end undimmed. */
function styled(pieces: readonly string[]): string[] {
  const style = new ThinkingStyle();
  return [...pieces.map((piece) => style.push(piece)), style.end()];
}

/** The output with brackets around each dimmed stretch, across pieces. */
function bracketed(out: readonly string[]): string {
  for (const piece of out) expect(piece.lastIndexOf(NOT_DIM)).toBeGreaterThanOrEqual(piece.lastIndexOf(DIM));
  return out
    .join('')
    .replaceAll(NOT_DIM + DIM, '')
    .replaceAll(DIM, '[')
    .replaceAll(NOT_DIM, ']');
}
