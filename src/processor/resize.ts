/** Image resizing: the size (the reference's `smart_resize`) and the filter (Pillow's bicubic). */

import { ImageError, InputError } from '../errors.ts';
import { roundHalfToEven } from '../roundHalfToEven.ts';
import { defaultImageLimits, type RgbImage } from './image/rgbImage.ts';

/** Limits of width * height, in pixels. */
export interface PixelLimits {
  readonly minPixels: number;
  readonly maxPixels: number;
}

export interface ImageSize {
  readonly height: number;
  readonly width: number;
}

export interface SmartResizeOptions {
  /** Both sides become multiples of this, the side of a merged patch in pixels. Default 28. */
  readonly factor?: number;
  /** The picture's name in error messages. */
  readonly name?: string;
}

const DEFAULT_FACTOR = 28;
const MAX_ASPECT_RATIO = 200;

/**
 * The size to which `fetch_image` resizes a picture. Both sides are rounded to the nearest multiple of 28, at least 28. Then the
 * area is brought within the limits, and the aspect ratio is roughly kept.
 *
 * @param height, width of the picture, in pixels
 * @param limits each a whole number of pixels from 1 to 50,000,000
 * @throws ImageError IMAGE_ASPECT (one side is over 200 times the other), IMAGE_TOO_SMALL (`maxPixels` makes a side 0)
 * @throws InputError INPUT_RANGE (a limit)
 *
 * Follows: bailing_qwen2_5_utils.py, smart_resize
 */
export function smartResize(
  height: number,
  width: number,
  limits: PixelLimits,
  { factor = DEFAULT_FACTOR, name = 'image' }: SmartResizeOptions = {},
): ImageSize {
  checkLimits(limits, name);
  const aspectRatio = Math.max(height, width) / Math.min(height, width);
  if (aspectRatio > MAX_ASPECT_RATIO) {
    const message = `${name}: ${width} x ${height} pixels, one side is ${aspectRatio} times the other`;
    throw new ImageError('IMAGE_ASPECT', message, {
      hint: `crop it to a ratio of at most ${MAX_ASPECT_RATIO}`,
    });
  }
  let newHeight = Math.max(factor, roundHalfToEven(height / factor) * factor);
  let newWidth = Math.max(factor, roundHalfToEven(width / factor) * factor);
  if (newHeight * newWidth > limits.maxPixels) {
    const shrink = Math.sqrt((height * width) / limits.maxPixels);
    newHeight = Math.floor(height / shrink / factor) * factor;
    newWidth = Math.floor(width / shrink / factor) * factor;
  } else if (newHeight * newWidth < limits.minPixels) {
    const grow = Math.sqrt(limits.minPixels / (height * width));
    newHeight = Math.ceil((height * grow) / factor) * factor;
    newWidth = Math.ceil((width * grow) / factor) * factor;
  }
  // The reference continues with an empty picture and fails later.
  if (newHeight === 0 || newWidth === 0) {
    const becomes = `${width} x ${height} becomes ${newWidth} x ${newHeight}`;
    const message = `${name}: with maxPixels ${limits.maxPixels}, ${becomes}`;
    throw new ImageError('IMAGE_TOO_SMALL', message, { hint: 'raise maxPixels or crop the picture' });
  }
  return { height: newHeight, width: newWidth };
}

/**
 * The size to which the image processor resizes a picture: like `smartResize`, but a side below the factor is an error.
 *
 * @throws ImageError IMAGE_TOO_SMALL (a side below `factor`), and as `smartResize`
 *
 * Follows: transformers 4.49, image_processing_qwen2_vl.py, smart_resize
 */
export function smartResizeStrict(
  height: number,
  width: number,
  limits: PixelLimits,
  options: SmartResizeOptions = {},
): ImageSize {
  const { factor = DEFAULT_FACTOR, name = 'image' } = options;
  if (height < factor || width < factor) {
    const message = `${name}: ${width} x ${height} pixels, both sides must be at least ${factor}`;
    throw new ImageError('IMAGE_TOO_SMALL', message, { hint: 'scale the picture up first' });
  }
  return smartResize(height, width, limits, options);
}

// QUIRK(crossed-pixel-limits): minPixels over maxPixels is allowed here, as in the reference, but not in preprocessImage.
function checkLimits(limits: PixelLimits, name: string): void {
  for (const field of ['minPixels', 'maxPixels'] as const) {
    const limit = limits[field];
    if (!Number.isInteger(limit) || limit < 1 || limit > defaultImageLimits.maxPixels) {
      const range = `a whole number from 1 to ${defaultImageLimits.maxPixels}`;
      throw new InputError('INPUT_RANGE', `${name}: ${field} must be ${range}, got ${limit}`, {
        field,
        actual: limit,
      });
    }
  }
}

/** Fractional bits of a weight. Of 32 bits Pillow leaves 8 for the sample and 2 for overshoot and the sign. */
const PRECISION_BITS = 22;
/** Radius of the bicubic filter in source pixels, when not shrinking. */
const BICUBIC_SUPPORT = 2;

/**
 * Resizes with Pillow's bicubic filter (a = -0.5), which is widened when shrinking so that every source pixel counts. Columns are
 * resampled first, then rows, with 8-bit samples in between. A side that keeps its size is not filtered.
 *
 * @param height, width of the result, in pixels, positive
 * @returns [height, width, 3] uint8, bit-identical to Pillow 11.3; `image` itself if the size does not change
 *
 * Follows: Pillow 11.3, Resample.c, ImagingResample
 */
export function resizeBicubic(image: RgbImage, height: number, width: number): RgbImage {
  let { data } = image;
  if (width !== image.width) {
    data = resample(data, { lines: image.height, from: image.width, to: width, step: 3 });
  }
  if (height !== image.height) {
    data = resample(data, { lines: 1, from: image.height, to: height, step: width * 3 });
  }
  return data === image.data ? image : { width, height, data };
}

interface Axis {
  /** Size of the axes before the resampled one. */
  readonly lines: number;
  readonly from: number;
  readonly to: number;
  /** Size of the axes after it: samples per position. */
  readonly step: number;
}

/** Resamples the middle axis of [lines, from, step] to [lines, to, step]. */
function resample(source: Uint8Array, { lines, from, to, step }: Axis): Uint8Array {
  const out = new Uint8ClampedArray(lines * to * step);
  for (let position = 0; position < to; position++) {
    const { first, weights } = bicubicWeights(position, from, to);
    for (let line = 0; line < lines; line++) {
      const sourceStart = (line * from + first) * step;
      const outStart = (line * to + position) * step;
      for (let sample = 0; sample < step; sample++) {
        let sum = 2 ** (PRECISION_BITS - 1); // rounds the shift below
        for (let tap = 0; tap < weights.length; tap++) {
          sum += source[sourceStart + tap * step + sample] * weights[tap];
        }
        out[outStart + sample] = sum >> PRECISION_BITS;
      }
    }
  }
  return new Uint8Array(out.buffer);
}

/** The fixed-point weights of the source pixels from `first` on that make up one pixel of the result. */
function bicubicWeights(position: number, from: number, to: number): { first: number; weights: Int32Array } {
  const scale = from / to;
  const stretch = Math.max(scale, 1); // antialiasing: the filter covers all source pixels of a result pixel
  const support = BICUBIC_SUPPORT * stretch;
  const center = (position + 0.5) * scale;
  const first = Math.max(0, Math.trunc(center - support + 0.5));
  const end = Math.min(from, Math.trunc(center + support + 0.5));

  const exact = new Float64Array(end - first);
  let total = 0;
  for (let tap = 0; tap < exact.length; tap++) {
    exact[tap] = bicubic((first + tap - center + 0.5) * (1 / stretch));
    total += exact[tap];
  }
  const weights = new Int32Array(exact.length);
  for (let tap = 0; tap < exact.length; tap++) {
    const scaled = (exact[tap] / total) * 2 ** PRECISION_BITS;
    weights[tap] = Math.trunc(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
  }
  return { first, weights };
}

/** Keys' cubic convolution kernel. The order of operations is Pillow's, because the last bit matters. */
function bicubic(distance: number): number {
  const a = -0.5;
  const x = Math.abs(distance);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}
