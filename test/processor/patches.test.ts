import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { decodeImage } from '../../src/processor/image/image.ts';
import type { RgbImage } from '../../src/processor/image/rgbImage.ts';
import {
  type ImageProcessorConfig,
  preprocessImage,
  type ResizeOptions,
} from '../../src/processor/patches.ts';
import { goldens, readJson, readTensors, type StoredTensor } from '../readTensors.ts';
import { noise } from './fixtures.ts';

const stored = readJson(`${goldens}checkpoints/mrope-bf16/preprocessor_config.json`);
const config: ImageProcessorConfig = {
  minPixels: stored.min_pixels,
  maxPixels: stored.max_pixels,
  patchSize: stored.patch_size,
  temporalPatchSize: stored.temporal_patch_size,
  mergeSize: stored.merge_size,
  imageMean: stored.image_mean,
  imageStd: stored.image_std,
  rescaleFactor: stored.rescale_factor,
};
const ROW = 3 * 2 * 14 * 14;

/** Converts the names in a message part to the library's own. */
function optionsOf(element: Record<string, number | undefined>): ResizeOptions {
  return {
    minPixels: element.min_pixels,
    maxPixels: element.max_pixels,
    resizedHeight: element.resized_height,
    resizedWidth: element.resized_width,
  };
}

/** Later stages start from the reference's pixels, so that rounding in JPEG decoding does not matter. */
async function decodedPicture(path: string, decoded: StoredTensor | undefined): Promise<RgbImage> {
  if (!decoded) return await decodeImage(readFileSync(goldens + path), path);
  return { height: decoded.shape[0], width: decoded.shape[1], data: decoded.data as Uint8Array };
}

function expectPixels(image: RgbImage, expected: StoredTensor | undefined, stage: string): void {
  if (!expected) throw new Error(`the golden has no ${stage}`);
  expect([image.height, image.width, 3], stage).toEqual(expected.shape);
  expect(Buffer.compare(image.data, expected.data as Uint8Array), stage).toBe(0);
}

/** Bit patterns, so that -0 is not 0. */
function expectExactly(actual: Float32Array, expected: StoredTensor): void {
  const bits = (values: Float32Array) => new Uint32Array(values.slice().buffer);
  expect(bits(actual)).toEqual(bits(expected.data as Float32Array));
}

/** Large `pixel_values` are stored as their first and last four rows. */
function expectPixelValues(actual: Float32Array, tensors: Map<string, StoredTensor>): void {
  const whole = tensors.get('pixel_values');
  const head = tensors.get('pixel_values.head');
  const tail = tensors.get('pixel_values.tail');
  if (whole) expectExactly(actual, whole);
  else if (head && tail) {
    expectExactly(actual.subarray(0, 4 * ROW), head);
    expectExactly(actual.subarray(-4 * ROW), tail);
  } else throw new Error('the golden has no pixel_values');
}

describe('pixels to patches equals the reference bit for bit', () => {
  const { rows } = readJson(`${goldens}preprocess/preprocess.json`);
  for (const row of rows) {
    test(row.tensors, async () => {
      const tensors = readTensors(`${goldens}preprocess/${row.tensors}`);
      const image = await decodedPicture(row.image, tensors.get('decoded_rgb'));
      const rowConfig = {
        ...config,
        minPixels: row.processor_min_pixels,
        maxPixels: row.processor_max_pixels,
      };
      const result = preprocessImage(image, optionsOf(row.element), rowConfig, row.image);

      expectPixels(result.resized, tensors.get('resized_rgb'), 'resized_rgb');
      expect([result.resized.height, result.resized.width]).toEqual(row.fetched_size_hw);
      if (row.second_resize_changes_pixels)
        expectPixels(result.processed, tensors.get('processed_rgb'), 'processed_rgb');
      expect([result.processed.height, result.processed.width]).toEqual(row.processed_size_hw);
      expect(result.gridThw).toEqual(row.image_grid_thw);
      expect(result.pixelValues.length).toBe(row.pixel_rows * ROW);
      expectPixelValues(result.pixelValues, tensors);
      const sum = result.pixelValues.reduce((total, value) => total + value, 0);
      expect(sum).toBeCloseTo(row.pixel_sum_float64, 6);
    });
  }
});

describe('the images of whole prompts too', () => {
  const cases = readdirSync(`${goldens}cases`, { recursive: true, encoding: 'utf8' });
  for (const path of cases
    .filter((file) => file.endsWith('/tensors.safetensors'))
    .map((file) => file.slice(0, -20))) {
    const { messages, image_grid_thw: grids } = readJson(`${goldens}cases/${path}/case.json`);
    const tensors = readTensors(`${goldens}cases/${path}/tensors.safetensors`);
    if (!tensors.has('image0.resized_rgb')) continue;
    test(path, async () => {
      const checkpoint = readJson(`${goldens}checkpoints/${path.split('/')[0]}/preprocessor_config.json`);
      const caseConfig = { ...config, minPixels: checkpoint.min_pixels, maxPixels: checkpoint.max_pixels };
      const parts = messages.flatMap((message: { content: { type: string }[] }) => message.content);
      const pictures = parts.filter((part: { type: string }) => part.type === 'image');
      const pixelValues = new Float32Array(
        grids.reduce((n: number, [t, h, w]: number[]) => n + t * h * w * ROW, 0),
      );
      let offset = 0;
      for (const [i, part] of pictures.entries()) {
        const image = await decodedPicture(part.image, tensors.get(`image${i}.decoded_rgb`));
        const result = preprocessImage(image, optionsOf(part), caseConfig, part.image);
        expectPixels(result.resized, tensors.get(`image${i}.resized_rgb`), `image${i}.resized_rgb`);
        const processed = tensors.get(`image${i}.processed_rgb`);
        if (processed) expectPixels(result.processed, processed, `image${i}.processed_rgb`);
        expect(result.gridThw).toEqual(grids[i]);
        pixelValues.set(result.pixelValues, offset);
        offset += result.pixelValues.length;
      }
      expect(offset).toBe(pixelValues.length);
      if (tensors.has('pixel_values') || tensors.has('pixel_values.head'))
        expectPixelValues(pixelValues, tensors);
    });
  }
});

describe('wrong options (I12)', () => {
  const image = { width: 60, height: 40, data: noise(60, 40) };
  test.each([
    [{ minPixels: 20_000, maxPixels: 10_000 }],
    [{ minPixels: 20_000_000 }],
    [{ maxPixels: 0 }],
    [{ maxPixels: Number.NaN }],
    [{ minPixels: -1 }],
    [{ maxPixels: 1e12 }],
    [{ resizedHeight: 56 }],
    [{ resizedHeight: 56, resizedWidth: 0 }],
    [{ resizedHeight: Number.NaN, resizedWidth: 56 }],
  ])('%o', (options: ResizeOptions) => {
    const error = expect.objectContaining({ name: 'InputError', code: 'INPUT_RANGE' });
    expect(() => preprocessImage(image, options, config, 'picture')).toThrow(error);
  });

  test('pixels of the wrong length', () => {
    const error = expect.objectContaining({ code: 'INPUT_LENGTH' });
    expect(() => preprocessImage({ ...image, width: 61 }, {}, config, 'picture')).toThrow(error);
  });

  test('maxPixels too small for a row of patches', () => {
    const strip = { width: 4000, height: 20, data: noise(4000, 20) };
    const error = expect.objectContaining({ name: 'ImageError', code: 'IMAGE_TOO_SMALL' });
    expect(() => preprocessImage(strip, { maxPixels: 28_000 }, config, 'strip')).toThrow(error);
  });

  test('too narrow, and the message names the picture', () => {
    const line = { width: 201, height: 1, data: noise(201, 1) };
    const error = expect.objectContaining({ code: 'IMAGE_ASPECT', message: expect.stringContaining('line') });
    expect(() => preprocessImage(line, {}, config, 'line')).toThrow(error);
  });
});
