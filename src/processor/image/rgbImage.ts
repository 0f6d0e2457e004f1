/** Decoded images: their type, their size limits, and the checks for both. */

import { ImageError, InputError } from '../../errors.ts';

/** A decoded image: 8-bit RGB. */
export interface RgbImage {
  readonly width: number;
  readonly height: number;
  /** [height, width, 3], rows from top to bottom. */
  readonly data: Uint8Array;
}

/** Limits above which an image is refused. */
export interface ImageLimits {
  /** Bytes of the encoded file. */
  readonly maxBytes: number;
  /** width x height after decoding. */
  readonly maxPixels: number;
  /** Pixels of either side. */
  readonly maxSide: number;
}

/** 20 MB, 50 megapixels, 65,535 pixels per side. */
export const defaultImageLimits: ImageLimits = { maxBytes: 20e6, maxPixels: 50e6, maxSide: 65_535 };

/**
 * Checks the size that a file's header claims, before anything is allocated for it.
 *
 * @param name the picture's name in error messages
 * @throws ImageError IMAGE_INVALID (a side of 0), IMAGE_TOO_LARGE (over `maxSide` or `maxPixels`)
 */
export function checkImageSize(width: number, height: number, name: string, limits: ImageLimits): void {
  if (width < 1 || height < 1) {
    throw new ImageError('IMAGE_INVALID', `${name}: the header says ${width} x ${height} pixels`);
  }
  if (width > limits.maxSide || height > limits.maxSide || width * height > limits.maxPixels) {
    const allowed = `${limits.maxPixels} pixels, ${limits.maxSide} per side`;
    throw new ImageError('IMAGE_TOO_LARGE', `${name}: ${width} x ${height} pixels, the limit is ${allowed}`, {
      hint: 'scale the picture down first',
      expected: limits,
      actual: { width, height },
    });
  }
}

/**
 * Checks an already decoded image from a caller.
 *
 * @param image should be `{ width, height, data }` with `data` a Uint8Array [height, width, 3]
 * @param field argument path for messages, e.g. `messages[0].content[1].image`
 * @returns the same pixels (not a copy) in a new object
 * @throws InputError INPUT_TYPE (not such an object, a side that is not a positive whole number, other sample types, shared
 *   memory), INPUT_LENGTH (the length of `data` is not height x width x 3; a detached buffer has length 0)
 */
export function checkRgbImage(image: unknown, field: string): RgbImage {
  const { width, height, data } = (image ?? {}) as Partial<RgbImage>;
  if (!isSide(width) || !isSide(height)) {
    const got = `${String(width)} and ${String(height)}`;
    const message = `${field}: width and height must be positive whole numbers, got ${got}`;
    throw new InputError('INPUT_TYPE', message, { field, actual: { width, height } });
  }
  if (!(data instanceof Uint8Array)) {
    const kind = Object.prototype.toString.call(data).slice(8, -1);
    throw new InputError('INPUT_TYPE', `${field}.data: expected a Uint8Array of 8-bit RGB, got ${kind}`, {
      field,
    });
  }
  // Another thread could change shared memory between the check and the use.
  if (!(data.buffer instanceof ArrayBuffer)) {
    const hint = 'copy it with Uint8Array.from(data)';
    throw new InputError('INPUT_TYPE', `${field}.data: is in a SharedArrayBuffer`, { field, hint });
  }
  if (data.length !== height * width * 3) {
    const wanted = `${height} x ${width} x 3 = ${height * width * 3}`;
    throw new InputError('INPUT_LENGTH', `${field}.data: expected ${wanted} bytes, got ${data.length}`, {
      field,
      expected: height * width * 3,
      actual: data.length,
    });
  }
  return { width, height, data };
}

function isSide(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}
