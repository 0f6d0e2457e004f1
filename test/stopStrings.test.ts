import { describe, expect, it } from 'vitest';
import { StopStrings } from '../src/model/generation/stopStrings.ts';

/** The text shown for the pieces, and the index of the piece at which it stopped. */
function shown(stops: string[], pieces: string[]) {
  const watcher = new StopStrings(stops);
  let text = '';
  for (const [index, piece] of pieces.entries()) {
    const step = watcher.push(piece);
    text += step.text;
    if (step.stopped) return [text, index];
  }
  return [text + watcher.end(), null];
}

describe('stop strings', () => {
  it.each([
    ['inside a piece', ['END'], ['a END b'], ['a ', 0]],
    ['across pieces', ['</answer>'], ['x</', 'ans', 'wer', '> y'], ['x', 3]],
    ['a false start', ['</answer>'], ['x</', 'think>', ' y'], ['x</think> y', null]],
    ['a false start that starts again', ['aab'], ['a', 'a', 'a', 'b'], ['a', 3]],
    ['the first of several', ['two', 'one'], ['zero one two'], ['zero ', 0]],
    ['one that begins another', ['abc', 'ab'], ['xab'], ['x', 0]],
    ['held to the end', ['abc'], ['xab'], ['xab', null]],
    ['none', [], ['abc'], ['abc', null]],
  ])('%s', (_, stops, pieces, expected) => {
    expect(shown(stops, pieces)).toEqual(expected);
  });

  it('never shows a character of a stop string, for any split', () => {
    const text = 'The answer is \\boxed{2} and more';
    for (let cut = 0; cut <= text.length; cut++) {
      expect(shown(['\\boxed{2}'], [text.slice(0, cut), text.slice(cut)])[0]).toBe('The answer is ');
    }
  });

  it.each([[['']], [['x'.repeat(2000)]], [new Array(10_000).fill('x')]])('refuses %#', (stops) => {
    expect(() => new StopStrings(stops)).toThrowError(expect.objectContaining({ code: 'GEN_RANGE' }));
  });
});
