import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TokenStream } from '../../src/processor/text/tokenStream.ts';
import { goldens, readJson } from '../readTensors.ts';
import { goldenCases, goldenTokenizer } from './helpers.ts';

const tokenizer = goldenTokenizer();

/** The text that a stream returns for each id, and at its end. */
function shown(ids: readonly number[]): string[] {
  const stream = new TokenStream(tokenizer);
  return [...ids.map((id) => stream.push(id)), stream.end()];
}

describe('the joined pieces equal the decoded whole', () => {
  for (const { name, golden } of goldenCases()) {
    if (golden.greedy_ids === undefined) continue;
    test(name, () => expect(shown(golden.greedy_ids).join('')).toBe(golden.greedy_text));
  }

  const table = readJson(`${goldens}tokenizer_strings.json`);
  for (const { ids, decoded } of [...table.rows, ...table.partial]) {
    test(JSON.stringify(decoded), () => expect(shown(ids).join('')).toBe(decoded));
  }

  test('any ids', () => {
    const anyIds = fc.array(fc.integer({ min: 0, max: 520 }), { maxLength: 30 });
    fc.assert(fc.property(anyIds, (ids) => shown(ids).join('') === tokenizer.decode(ids)));
  });
});

describe('characters over several tokens', () => {
  test('nothing is shown before the last byte', () => {
    const ids = tokenizer.encode('x😀y');
    expect(ids.length).toBeGreaterThan(4); // the emoji is cut
    const pieces = shown(ids);
    expect(pieces.filter((piece) => piece !== '')).toEqual(['x', '😀', 'y']);
  });
  test('a text of whole characters never gives U+FFFD', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\ufffd')),
        (text) => !shown(tokenizer.encode(text)).join('').includes('\ufffd'),
      ),
    );
  });
  test('an answer cut inside a character ends in one U+FFFD, and the stream is reset', () => {
    const stream = new TokenStream(tokenizer);
    const ids = tokenizer.encode('a😀');
    expect(
      ids
        .slice(0, -1)
        .map((id) => stream.push(id))
        .join(''),
    ).toBe('a');
    expect(stream.end()).toBe('\ufffd');
    expect(stream.end()).toBe('');
    expect(stream.push(tokenizer.encode('b')[0])).toBe('b');
  });
  test('a special token after an incomplete character', () => {
    const [first] = tokenizer.encode('😀');
    expect(shown([first, 452])).toEqual(['', '\ufffd<|im_end|>', '']);
  });
  test('a byte order mark at the start is kept', () => {
    expect(shown(tokenizer.encode('\ufeffa')).join('')).toBe('\ufeffa');
  });
  test('ids without a token', () => expect(shown([559, -1])).toEqual(['', '', '']));
});
