import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/errors.ts';
import { checkMessages } from '../../src/processor/text/checkMessages.ts';
import { imagesOf } from '../../src/processor/text/messages.ts';
import { withCpuMs } from '../cpuTime.ts';
import { thrownBy } from './helpers.ts';

const text = { type: 'text', text: 'x' };
const user = (content: unknown) => ({ role: 'user', content });

describe('refused messages, with the place of the error', () => {
  test.each<[string, unknown, string, string]>([
    ['undefined', undefined, 'INPUT_TYPE', 'messages'],
    ['one message', user('x'), 'INPUT_TYPE', 'messages'],
    ['no messages', [], 'INPUT_EMPTY', 'messages'],
    ['a null message', [null], 'INPUT_TYPE', 'messages[0]'],
    ['a text message', ['Hi'], 'INPUT_TYPE', 'messages[0]'],
    ['an unknown role', [user('x'), { role: 'tool', content: 'x' }], 'INPUT_ROLE', 'messages[1].role'],
    ['no role', [{ content: 'x' }], 'INPUT_ROLE', 'messages[0].role'],
    ['content null', [user(null)], 'INPUT_TYPE', 'messages[0].content'],
    ['content a number', [user(3)], 'INPUT_TYPE', 'messages[0].content'],
    ['content one part', [user(text)], 'INPUT_TYPE', 'messages[0].content'],
    ['a null part', [user('x'), user('x'), user([null])], 'INPUT_TYPE', 'messages[2].content[0]'],
    [
      'an unknown part',
      [user('x'), user('x'), user([{ type: 'audio' }])],
      'INPUT_PART_UNKNOWN',
      'messages[2].content[0]',
    ],
    [
      'image_url',
      [user([{ type: 'image_url', image_url: 'a' }])],
      'INPUT_PART_UNKNOWN',
      'messages[0].content[0]',
    ],
    ['a text part without text', [user([{ type: 'text' }])], 'INPUT_TYPE', 'messages[0].content[0].text'],
    [
      'an image part without image',
      [user([{ type: 'image' }])],
      'INPUT_TYPE',
      'messages[0].content[0].image',
    ],
    ['an empty path', [user([{ type: 'image', image: '' }])], 'INPUT_EMPTY', 'messages[0].content[0].image'],
    [
      'an empty list',
      [user([text, { type: 'image', image: [] }])],
      'INPUT_EMPTY',
      'messages[0].content[1].image',
    ],
    [
      'a number in a list',
      [user([{ type: 'image', image: ['a', 1] }])],
      'INPUT_TYPE',
      'messages[0].content[0].image[1]',
    ],
    [
      'a video part without frames',
      [user([{ type: 'video', video: 'a.mp4' }])],
      'INPUT_TYPE',
      'messages[0].content[0].frames',
    ],
    [
      'a clip without a frame',
      [user([{ type: 'video', frames: [] }])],
      'INPUT_EMPTY',
      'messages[0].content[0].frames',
    ],
    [
      'a number as frame',
      [user([{ type: 'video', frames: ['a', 1] }])],
      'INPUT_TYPE',
      'messages[0].content[0].frames[1]',
    ],
    [
      '10^7 frames (I14)',
      [user([{ type: 'video', frames: Array(1e7).fill('a') }])],
      'INPUT_TOO_MANY_FRAMES',
      'messages[0].content[0].frames',
    ],
    [
      '769 frames in all',
      [user([{ type: 'video', frames: Array(768).fill('a') }]), user([{ type: 'video', frames: ['a'] }])],
      'INPUT_TOO_MANY_FRAMES',
      'messages[1].content',
    ],
    [
      '33 clips',
      [user(Array(33).fill({ type: 'video', frames: ['a'] }))],
      'INPUT_TOO_MANY_IMAGES',
      'messages',
    ],
    ['10^7 characters', [user('ab '.repeat(3_333_334))], 'INPUT_TOO_LONG', 'messages[0].content'],
    [
      '1 M characters in all',
      [user('a '.repeat(250_000)), user('a '.repeat(250_001))],
      'INPUT_TOO_LONG',
      'messages[1].content',
    ],
    ['64 K without a break', [user('a'.repeat(65_537))], 'INPUT_TOO_LONG', 'messages[0].content'],
    [
      '1 M spaces',
      [user([{ type: 'text', text: ' '.repeat(1_000_000) }])],
      'INPUT_TOO_LONG',
      'messages[0].content[0].text',
    ],
    ['257 messages', Array(257).fill(user('x')), 'INPUT_TOO_LONG', 'messages'],
    [
      '33 images',
      [user([{ type: 'image', image: Array(33).fill('a.png') }])],
      'INPUT_TOO_MANY_IMAGES',
      'messages',
    ],
  ])('%s', async (_, messages, code, field) => {
    const { value: error, cpuMs } = await withCpuMs(() => thrownBy(() => checkMessages(messages)));
    expect(cpuMs).toBeLessThan(2000);
    expect(error).toBeInstanceOf(InputError);
    expect([error.code, error.details.field]).toEqual([code, field]);
    expect(error.message.startsWith(`${field}: `)).toBe(true);
    expect(error.message.length).toBeLessThan(200);
  });

  test.each([
    ['0', 0],
    ['a fraction', 1.5],
    ['NaN', Number.NaN],
    ['negative', -1],
    ['10^20', 1e20],
  ])('max_pixels %s', (_, maxPixels) => {
    const part = { type: 'image', image: 'a', max_pixels: maxPixels };
    const error = thrownBy(() => checkMessages([user([part])]));
    expect([error.code, error.details.field]).toEqual(['INPUT_RANGE', 'messages[0].content[0].max_pixels']);
  });
  test.each([
    ['0', 0, 'INPUT_RANGE'],
    ['negative', -1, 'INPUT_RANGE'],
    ['NaN', Number.NaN, 'INPUT_RANGE'],
    ['over a minute', 60.1, 'INPUT_RANGE'],
    ['text', '1', 'INPUT_TYPE'],
  ])('secondsPerGrid %s', (_, secondsPerGrid, code) => {
    const part = { type: 'video', frames: ['a'], secondsPerGrid };
    const error = thrownBy(() => checkMessages([user([part])]));
    expect([error.code, error.details.field]).toEqual([code, 'messages[0].content[0].secondsPerGrid']);
  });
  test('resizedHeight as text', () => {
    const error = thrownBy(() => checkMessages([user([{ type: 'image', image: 'a', resizedHeight: '56' }])]));
    expect([error.code, error.details.field]).toEqual(['INPUT_TYPE', 'messages[0].content[0].resizedHeight']);
  });
});

describe('accepted messages', () => {
  test('64 K of one letter, 1 M characters with breaks, 256 messages, empty text', () => {
    expect(() => checkMessages([user('a'.repeat(65_536))])).not.toThrow();
    expect(() => checkMessages([user('a '.repeat(500_000))])).not.toThrow();
    expect(checkMessages(Array(256).fill(user('')))).toHaveLength(256);
    expect(() => checkMessages([user([])])).not.toThrow();
  });
  test('both spellings of the options; other fields are dropped', () => {
    const published = {
      type: 'image',
      image: 'a',
      min_pixels: 1,
      max_pixels: 2,
      resized_height: 3,
      resized_width: 4,
    };
    const ours = { type: 'image', image: 'a', minPixels: 1, maxPixels: 2, resizedHeight: 3, resizedWidth: 4 };
    const [message] = checkMessages([{ ...user([{ ...published, detail: 'low' }, ours]), name: 'me' }]);
    expect(message).toEqual({ role: 'user', content: [ours, ours] });
  });
  test('768 frames; a clip with its options, in both spellings', () => {
    expect(() => checkMessages([user([{ type: 'video', frames: Array(768).fill('a') }])])).not.toThrow();
    const ours = { type: 'video', frames: ['a', 'b'], secondsPerGrid: 0.5, maxPixels: 4000 };
    const published = { type: 'video', frames: ['a', 'b'], seconds_per_grid: 0.5, max_pixels: 4000, fps: 4 };
    const [message] = checkMessages([user([ours, published])]);
    expect(message).toEqual(user([ours, ours]));
  });
  test('__proto__ in a message from JSON', () => {
    const json =
      '[{"role": "user", "content": [{"type": "text", "text": "a", "__proto__": {"polluted": 1}}]}]';
    expect(checkMessages(JSON.parse(json))).toEqual([user([{ type: 'text', text: 'a' }])]);
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });
});

test('imagesOf: prompt order, clips whole, lists flattened, without the options of a list', () => {
  const bytes = new Uint8Array(3);
  const pixels = { width: 1, height: 1, data: bytes };
  const messages = checkMessages([
    user([text, { type: 'image', image: 'a.png', maxPixels: 4000 }]),
    user('between'),
    user([
      { type: 'video', frames: ['1.png', bytes], secondsPerGrid: 2 },
      { type: 'image', image: [bytes, pixels], maxPixels: 4000 },
    ]),
  ]);
  expect(imagesOf(messages)).toEqual([
    {
      part: { type: 'image', image: 'a.png', maxPixels: 4000 },
      source: 'a.png',
      field: 'messages[0].content[1].image',
    },
    {
      part: { type: 'video', frames: ['1.png', bytes], secondsPerGrid: 2 },
      frames: ['1.png', bytes],
      field: 'messages[2].content[0].frames',
    },
    { part: { type: 'image', image: bytes }, source: bytes, field: 'messages[2].content[1].image[0]' },
    { part: { type: 'image', image: pixels }, source: pixels, field: 'messages[2].content[1].image[1]' },
  ]);
});
