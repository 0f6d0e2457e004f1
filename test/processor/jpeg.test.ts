import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { decodeImage } from '../../src/processor/image/image.ts';
import { upsample, yccToRgb } from '../../src/processor/image/jpegColor.ts';
import { goldens, readJson, readTensors } from '../readTensors.ts';
import { compareLevels, readFixture, readFixtures } from './fixtures.ts';

/** jpeg-js rounds its inverse DCT differently from libjpeg-turbo; everything after it is exact. */
const MAX_LEVELS = 3;
const MEAN_LEVELS = 0.2;
/** With a black plane jpeg-js rounds down twice when it converts four planes to three. */
const MEAN_LEVELS_BLACK = 1;
const WITH_BLACK = ['cmyk-with-black', 'ycck'];

describe('JPEG is close to Pillow', () => {
  for (const { name, file, width, height, rgb } of readFixtures()) {
    if (file[0] !== 0xff) continue;
    test(name, async () => {
      const image = await decodeImage(file, name);
      expect([image.width, image.height]).toEqual([width, height]);
      const { max, mean } = compareLevels(image.data, rgb);
      expect(max).toBeLessThanOrEqual(MAX_LEVELS);
      expect(mean).toBeLessThan(WITH_BLACK.includes(name) ? MEAN_LEVELS_BLACK : MEAN_LEVELS);
    });
  }

  const { rows } = readJson(`${goldens}preprocess/preprocess.json`);
  for (const { image: path, tensors } of rows) {
    if (!path.endsWith('.jpg')) continue;
    test(`golden ${tensors}`, async () => {
      const expected = readTensors(`${goldens}preprocess/${tensors}`).get('decoded_rgb');
      const image = await decodeImage(readFileSync(goldens + path), path);
      expect([image.height, image.width, 3]).toEqual(expected?.shape);
      const { max, mean } = compareLevels(image.data, expected?.data as Uint8Array);
      expect(max).toBeLessThanOrEqual(MAX_LEVELS);
      expect(mean).toBeLessThan(MEAN_LEVELS);
    });
  }
});

describe("chroma upsampling is libjpeg-turbo's triangle filter", () => {
  const plane = { width: 3, height: 2, samples: Uint8Array.of(0, 100, 200, 40, 80, 255) };

  test('columns: 3/4 of the nearest, 1/4 of the next, edges repeat', () => {
    const out = upsample(plane, { width: 6, height: 2, horizontal: 2, vertical: 1 });
    expect([...out]).toEqual([0, 25, 75, 125, 175, 200, 40, 50, 70, 124, 211, 255]);
  });

  test('rows', () => {
    const out = upsample(plane, { width: 3, height: 3, horizontal: 1, vertical: 2 });
    expect([...out]).toEqual([0, 100, 200, 10, 95, 214, 30, 85, 241]);
  });

  test('both, in one step with one rounding', () => {
    const out = upsample(plane, { width: 5, height: 4, horizontal: 2, vertical: 2 });
    expect([...out.subarray(0, 5)]).toEqual([0, 25, 75, 125, 175]);
    expect([...out.subarray(5, 10)]).toEqual([10, 31, 74, 125, 184]);
  });

  test('other factors repeat', () => {
    const out = upsample(plane, { width: 9, height: 2, horizontal: 4, vertical: 1 });
    expect([...out.subarray(0, 9)]).toEqual([0, 0, 0, 0, 100, 100, 100, 100, 200]);
  });
});

test('YCbCr to RGB: grey, primaries, clamping', () => {
  const pixels = [
    [128, 128, 128, 128, 128, 128],
    [76, 85, 255, 254, 0, 0],
    [255, 255, 255, 255, 121, 255],
    [0, 0, 0, 0, 135, 0],
  ];
  for (const [y, cb, cr, ...rgb] of pixels) {
    const out = new Uint8Array(3);
    yccToRgb(Uint8Array.of(y), Uint8Array.of(cb), Uint8Array.of(cr), out);
    expect([...out], `${y}, ${cb}, ${cr}`).toEqual(rgb);
  }
});

/** An APP1 segment after SOI. */
function withExif(file: Uint8Array, exif: readonly number[]): Uint8Array {
  const body = [...'Exif'].map((letter) => letter.charCodeAt(0)).concat(0, 0, ...exif);
  return Uint8Array.of(0xff, 0xd8, 0xff, 0xe1, 0, body.length + 2, ...body, ...file.subarray(2));
}

describe('EXIF changes nothing (I10)', () => {
  const { file } = readFixture('420-45x37-q75');
  const tiff = [0x4d, 0x4d, 0, 42, 0, 0, 0, 8];
  const broken: [string, number[]][] = [
    ['an offset past the end', [...tiff.slice(0, 4), 0xff, 0xff, 0xff, 0xf0]],
    ['a directory that is its own next', [...tiff, 0, 0, 0, 0, 0, 8]],
    ['65,535 entries', [...tiff, 0xff, 0xff]],
    ['nothing', []],
  ];
  const orientations = [1, 2, 3, 4, 5, 6, 7, 8].map((orientation): [string, number[]] => [
    `orientation ${orientation}`,
    [...tiff, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0],
  ]);
  test.each([...orientations, ...broken])('%s', async (_, exif) => {
    const plain = await decodeImage(file, 'plain');
    const image = await decodeImage(withExif(file, exif), 'with exif');
    expect(Buffer.compare(image.data, plain.data)).toBe(0);
    expect([image.width, image.height]).toEqual([plain.width, plain.height]);
  });
});
