import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { resizeBicubic, smartResize, smartResizeStrict } from '../../src/processor/resize.ts';
import { goldens, readJson } from '../readTensors.ts';
import { noise, readResizes } from './fixtures.ts';

/** The code of our error for a row of the table, given the reference's error. */
function expectedCode(size: number[] | null, error: { message: string } | null): string | undefined {
  if (error) return error.message.includes('aspect ratio') ? 'IMAGE_ASPECT' : 'IMAGE_TOO_SMALL';
  return size?.includes(0) ? 'IMAGE_TOO_SMALL' : undefined;
}

describe('smart_resize equals the reference', () => {
  const { rows } = readJson(`${goldens}smart_resize.json`);
  const variants = [
    { resize: smartResize, key: 'fetch_image' },
    { resize: smartResizeStrict, key: 'image_processor' },
  ];
  for (const { resize, key } of variants) {
    test(`${key}, ${rows.length} rows`, () => {
      const codes: Record<string, number> = {};
      for (const row of rows) {
        const limits = { minPixels: row.min_pixels, maxPixels: row.max_pixels };
        const run = () => resize(row.height, row.width, limits);
        const code = expectedCode(row[key], row[`${key}_error`]);
        const what = JSON.stringify(row);
        if (code === undefined) {
          expect(run(), what).toEqual({ height: row[key][0], width: row[key][1] });
        } else {
          expect(run, what).toThrow(expect.objectContaining({ name: 'ImageError', code }));
          codes[code] = (codes[code] ?? 0) + 1;
        }
      }
      expect(codes.IMAGE_ASPECT).toBeGreaterThan(0);
      expect(codes.IMAGE_TOO_SMALL).toBeGreaterThan(0);
    });
  }

  test('eleven rows have a side of 0 in the reference', () => {
    expect(rows.filter((row: { fetch_image: number[] | null }) => row.fetch_image?.includes(0))).toHaveLength(
      11,
    );
  });
});

describe('small and narrow pictures (I11)', () => {
  const limits = { minPixels: 3136, maxPixels: 12_845_056 };
  test.each([
    [1, 1, 56, 56],
    [200, 1, 196, 28],
    [28, 28, 56, 56],
    [27, 29, 56, 84],
    [60, 10_000, 56, 9996],
  ])('%i x %i becomes %i x %i', (height, width, newHeight, newWidth) => {
    expect(smartResize(height, width, limits)).toEqual({ height: newHeight, width: newWidth });
  });

  test.each([
    [201, 1],
    [1, 201],
  ])('%i x %i is too narrow', (height, width) => {
    const error = expect.objectContaining({ code: 'IMAGE_ASPECT' });
    expect(() => smartResize(height, width, limits)).toThrow(error);
  });
});

describe('limits are checked (I12)', () => {
  for (const limit of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 1e12]) {
    test.each([
      ['minPixels', { minPixels: limit, maxPixels: 50_000_000 }],
      ['maxPixels', { minPixels: 1, maxPixels: limit }],
    ])(`%s ${limit}`, (field, limits) => {
      const error = expect.objectContaining({ name: 'InputError', code: 'INPUT_RANGE' });
      expect(() => smartResize(100, 100, limits)).toThrow(error);
      expect(() => smartResizeStrict(100, 100, limits)).toThrow(
        expect.objectContaining({ message: expect.stringContaining(field) }),
      );
    });
  }
});

describe('bicubic equals Pillow bit for bit', () => {
  for (const [width, height, newWidth, newHeight, digest] of readResizes()) {
    test(`${width} x ${height} to ${newWidth} x ${newHeight}`, () => {
      const image = { width, height, data: noise(width, height) };
      const resized = resizeBicubic(image, newHeight, newWidth);
      expect([resized.width, resized.height]).toEqual([newWidth, newHeight]);
      expect(createHash('sha256').update(resized.data).digest('hex')).toBe(digest);
    });
  }

  test('the same size gives the same image', () => {
    const image = { width: 5, height: 4, data: noise(5, 4) };
    expect(resizeBicubic(image, 4, 5)).toBe(image);
  });
});
