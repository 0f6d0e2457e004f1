/** Clips: sizes, pairs, and errors. */
import { describe, expect, test } from 'vitest';
import { preprocessFrames } from '../../src/processor/frames.ts';
import { DEFAULT_IMAGE_PROCESSOR as config } from '../../src/processor/image/imageProcessorConfig.ts';
import type { RgbImage } from '../../src/processor/image/rgbImage.ts';
import { preprocessImage } from '../../src/processor/patches.ts';
import { withCpuMs } from '../cpuTime.ts';
import { noise } from './fixtures.ts';

const FIELD = 'messages[0].content[0].frames';
const FRAME = 14 * 14; // pixels of a patch
const ROW = 3 * 2 * FRAME;
const size = { resizedHeight: 56, resizedWidth: 84 };

/** A distinct image: the same noise, shifted. */
function picture(shift: number, width = 90, height = 60): RgbImage {
  return { width, height, data: noise(width, height).map((level) => level + shift) };
}
const [a, b, c] = [0, 50, 100].map((shift) => picture(shift));
const still = (image: RgbImage) => preprocessImage(image, size, config, 'still').pixelValues;
const clip = (frames: RgbImage[], options = {}) => preprocessFrames(frames, FIELD, options, config);

describe('pairs of frames', () => {
  test('twice the same frame equals the still image, and so does a single frame', async () => {
    for (const frames of [[a, a], [a]]) {
      const { pixelValues, gridThw } = await clip(frames, size);
      expect(gridThw).toEqual([1, 4, 6]);
      expect(pixelValues).toEqual(still(a));
    }
  });

  test('a patch has a square of the first, then of the second frame; the last frame is repeated', async () => {
    const { pixelValues, gridThw } = await clip([a, b, c], size);
    expect(gridThw).toEqual([2, 4, 6]);
    expect(pixelValues.length).toBe(2 * 24 * ROW);
    const [stillA, stillB] = [still(a), still(b)];
    const paired = stillA.map((value, i) => (Math.floor(i / FRAME) % 2 === 0 ? value : stillB[i]));
    expect(pixelValues.subarray(0, 24 * ROW)).toEqual(paired);
    expect(pixelValues.subarray(24 * ROW)).toEqual(still(c));
  });

  test('the seconds are passed on', async () => {
    expect((await clip([a, b], { ...size, secondsPerGrid: 0.5 })).secondsPerGrid).toBe(0.5);
    expect((await clip([a, b], size)).secondsPerGrid).toBeUndefined();
  });
});

describe('the size of all frames', () => {
  const pixelsOf = async (frames: number, options: object, side = 60) => {
    const { gridThw, resized } = await clip(Array(frames).fill(picture(0, side, side)), options);
    expect(gridThw).toEqual([Math.ceil(frames / 2), resized.height / 14, resized.width / 14]);
    return (resized.height * resized.width) / 28 ** 2;
  };

  test('a small frame is enlarged to at least 128 merged tokens', async () => {
    expect(await pixelsOf(2, {})).toBe(144); // 12 x 12, the next square
  });
  test('a large frame is reduced to at most 768', async () => {
    expect(await pixelsOf(2, {}, 900)).toBe(27 * 27);
    expect(await pixelsOf(2, { maxPixels: 16_384 * 28 * 28 }, 900)).toBe(27 * 27);
  });
  test('a long clip divides 7680 merged tokens among its pairs of frames', async () => {
    expect(await pixelsOf(31, {}, 630)).toBe(21 * 21); // 7680 / 16 = 480 each
  });
  test('but each frame gets at least the minimum plus 5 %', async () => {
    expect(await pixelsOf(160, {}, 400)).toBe(11 * 11); // 7680 / 80 = 96; 128 * 1.05 = 134
  });
  test("a part's own limits apply, even below the usual minimum", async () => {
    expect(await pixelsOf(2, { maxPixels: 9 * 28 * 28 }, 300)).toBe(9);
    expect(await pixelsOf(2, { minPixels: 400 * 28 * 28 })).toBe(400);
  });
});

describe('what is refused', () => {
  const codeAndMessage = async (frames: (RgbImage | Uint8Array | string)[], options = {}) => {
    const error = await preprocessFrames(frames, FIELD, options, config).catch((thrown) => thrown);
    return `${error.code} ${error.message}`;
  };

  test('a frame of another size, named by its index', async () => {
    expect(await codeAndMessage([a, b, picture(0, 60, 90)])).toMatch(
      /^INPUT_FRAME_SIZE messages\[0\]\.content\[0\]\.frames\[2\]: 60 x 90 pixels, .* 90 x 60/,
    );
  });
  test('a frame that is not an image, named by its index', async () => {
    expect(await codeAndMessage([a, new Uint8Array(100)])).toMatch(/^IMAGE_UNSUPPORTED .*frames\[1\]/);
    expect(await codeAndMessage([a, '/nowhere/2.png'])).toMatch(/^IMAGE_NOT_FOUND .*frames\[1\]/);
  });
  test('more pixels than a clip may have, before any frame is resized', async () => {
    const options = { resizedHeight: 2800, resizedWidth: 2800 };
    const { value, cpuMs } = await withCpuMs(() => codeAndMessage(Array(13).fill(a), options));
    expect(value).toMatch(/^IMAGE_TOO_LARGE .*frames\[0\]/);
    expect(cpuMs).toBeLessThan(1000);
  });
  test('limits that contradict each other', async () => {
    expect(await codeAndMessage([a], { minPixels: 20_000, maxPixels: 10_000 })).toMatch(/^INPUT_RANGE/);
    expect(await codeAndMessage([a], { resizedHeight: 56 })).toMatch(/^INPUT_RANGE/);
  });
  test('an aborted signal rejects with its reason', async () => {
    const reason = new Error('enough');
    const aborted = preprocessFrames([a], FIELD, {}, config, AbortSignal.abort(reason));
    await expect(aborted).rejects.toBe(reason);
  });
});
