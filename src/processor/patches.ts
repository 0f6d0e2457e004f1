/** From RGB pixels to patches, the input of the vision tower. */

import { InputError } from '../errors.ts';
import { checkRgbImage, type RgbImage } from './image/rgbImage.ts';
import { type ImageSize, type PixelLimits, resizeBicubic, smartResize, smartResizeStrict } from './resize.ts';

/** `preprocessor_config.json`, with its names in camelCase. */
export interface ImageProcessorConfig {
  readonly minPixels: number;
  readonly maxPixels: number;
  /** Side of a patch, in pixels. */
  readonly patchSize: number;
  /** Frames per patch. A still picture is repeated. */
  readonly temporalPatchSize: number;
  /** Side of a merged patch, in patches. */
  readonly mergeSize: number;
  /** Mean of R, G and B, on the scale 0 to 1. */
  readonly imageMean: readonly number[];
  /** Standard deviation of R, G and B, on the same scale. */
  readonly imageStd: readonly number[];
  /** Usually 1 / 255: maps 8-bit levels to the scale 0 to 1. */
  readonly rescaleFactor: number;
}

/** Options of a message part for its picture's size, in pixels. */
export interface ResizeOptions {
  /** Default 3136. */
  readonly minPixels?: number;
  /** Default 12845056. */
  readonly maxPixels?: number;
  /** With `resizedWidth`: resize to about this size and ignore minPixels and maxPixels. */
  readonly resizedHeight?: number;
  readonly resizedWidth?: number;
}

/** A picture (of a clip, its first frame) after each of the two resizes. */
export interface ResizedImage {
  /** After the resize in `fetch_image`. */
  readonly resized: RgbImage;
  /** After the image processor's own resize. */
  readonly processed: RgbImage;
}

/** A picture or a clip as the vision tower needs it. */
export interface PreprocessedImage extends ResizedImage {
  /** [t * h * w, channels * temporalPatchSize * patchSize * patchSize] f32; see `extractPatches`. */
  readonly pixelValues: Float32Array;
  /** Number of patches along time, height and width. */
  readonly gridThw: [t: number, h: number, w: number];
  /** Seconds from one temporal patch of a clip to the next, if known. */
  readonly secondsPerGrid?: number;
}

/** Default limits of a still picture's area. */
export const FETCH_LIMITS: PixelLimits = { minPixels: 4 * 28 * 28, maxPixels: 16_384 * 28 * 28 };
const CHANNELS = 3;

/**
 * Resizes a picture twice, as the reference does, normalises it and cuts it into patches.
 *
 * @param image RGB, [height, width, 3] uint8
 * @param options of the picture's message part
 * @param config of the checkpoint
 * @param name the picture's name in error messages
 * @returns `pixelValues` [t * h * w, 1176] f32, its grid, and the pixels after each resize
 * @throws InputError INPUT_TYPE, INPUT_LENGTH (`image`), INPUT_RANGE (a limit or size that is not a positive whole number,
 *   minPixels over maxPixels, or only one of resizedHeight and resizedWidth)
 * @throws ImageError IMAGE_ASPECT, IMAGE_TOO_SMALL
 *
 * Follows: bailing_qwen2_5_utils.py, fetch_image; transformers 4.49, Qwen2VLImageProcessor._preprocess
 */
export function preprocessImage(
  image: RgbImage,
  options: ResizeOptions,
  config: ImageProcessorConfig,
  name: string,
): PreprocessedImage {
  const source = checkRgbImage(image, name);
  const { resized, processed } = resizeTwice(source, fetchSize(source, options, name), config, name);
  const still = new Array<RgbImage>(config.temporalPatchSize).fill(processed);
  return { ...extractPatches(still, config), resized, processed };
}

/**
 * The first resize, then the image processor's own.
 *
 * @param size of the first resize; the processor's config determines the second
 * @throws ImageError IMAGE_ASPECT, IMAGE_TOO_SMALL
 */
export function resizeTwice(
  image: RgbImage,
  size: ImageSize,
  config: ImageProcessorConfig,
  name: string,
): ResizedImage {
  const resized = resizeBicubic(image, size.height, size.width);
  // QUIRK(double-resize): the processor resizes the picture again, to its own limits.
  const factor = config.patchSize * config.mergeSize;
  const second = smartResizeStrict(size.height, size.width, config, { factor, name });
  return { resized, processed: resizeBicubic(resized, second.height, second.width) };
}

/**
 * The size of the first resize, according to the options of a message part.
 *
 * @param image the picture's size
 * @throws InputError INPUT_RANGE
 * @throws ImageError IMAGE_ASPECT, IMAGE_TOO_SMALL
 *
 * Follows: bailing_qwen2_5_utils.py, fetch_image
 */
export function fetchSize(image: ImageSize, options: ResizeOptions, name: string): ImageSize {
  const { resizedHeight, resizedWidth } = options;
  const limits = {
    minPixels: options.minPixels ?? FETCH_LIMITS.minPixels,
    maxPixels: options.maxPixels ?? FETCH_LIMITS.maxPixels,
  };
  if (limits.minPixels > limits.maxPixels) {
    const message = `${name}: minPixels ${limits.minPixels} is over maxPixels ${limits.maxPixels}`;
    throw new InputError('INPUT_RANGE', message, { field: 'minPixels', actual: limits });
  }
  if (resizedHeight === undefined && resizedWidth === undefined) {
    return smartResize(image.height, image.width, limits, { name });
  }
  for (const [field, side] of Object.entries({ resizedHeight, resizedWidth })) {
    if (!Number.isSafeInteger(side) || (side as number) < 1) {
      const message = `${name}: resizedHeight and resizedWidth must both be positive whole numbers`;
      throw new InputError('INPUT_RANGE', `${message}; ${field} is ${side}`, { field, actual: side });
    }
  }
  return smartResize(resizedHeight as number, resizedWidth as number, FETCH_LIMITS, { name });
}

/**
 * Normalises frames and lays them out patch by patch. Consecutive groups of `temporalPatchSize` frames are one step of time.
 * Within a step, patches are ordered by merged patch (row by row), and then within the merged patch (row by row). The columns of
 * a patch are ordered by channel, frame, y, x.
 *
 * @param frames all of one size, a multiple of the merged patch; their number is a multiple of temporalPatchSize
 * @returns `pixelValues` [t * h * w, channels * temporalPatchSize * patchSize * patchSize] f32, and the grid
 *
 * Follows: transformers 4.49, Qwen2VLImageProcessor._preprocess
 */
export function extractPatches(
  frames: readonly RgbImage[],
  config: ImageProcessorConfig,
): Pick<PreprocessedImage, 'pixelValues' | 'gridThw'> {
  const { patchSize, mergeSize, temporalPatchSize } = config;
  const [{ width, height }] = frames;
  const gridThw: [number, number, number] = [
    frames.length / temporalPatchSize,
    height / patchSize,
    width / patchSize,
  ];
  const pixelValues = new Float32Array(frames.length * height * width * CHANNELS);
  const rowLength = CHANNELS * temporalPatchSize * patchSize ** 2;
  const normalized = Array.from({ length: CHANNELS }, (_, channel) => normalizedLevels(channel, config));

  let next = 0;
  const [steps, rows, columns] = gridThw;
  for (let t = 0; t < steps; t++) {
    const together = frames.slice(t * temporalPatchSize, (t + 1) * temporalPatchSize);
    for (let mergedRow = 0; mergedRow < rows; mergedRow += mergeSize) {
      for (let mergedColumn = 0; mergedColumn < columns; mergedColumn += mergeSize) {
        for (let row = mergedRow; row < mergedRow + mergeSize; row++) {
          for (let column = mergedColumn; column < mergedColumn + mergeSize; column++) {
            const patch = pixelValues.subarray(next, next + rowLength);
            writePatch(
              patch,
              together,
              { top: row * patchSize, left: column * patchSize, patchSize },
              normalized,
            );
            next += rowLength;
          }
        }
      }
    }
  }
  return { pixelValues, gridThw };
}

/** Writes one row of `pixelValues`: the same square of each frame of one step of time. */
function writePatch(
  patch: Float32Array,
  frames: readonly RgbImage[],
  { top, left, patchSize }: { top: number; left: number; patchSize: number },
  normalized: readonly Float32Array[],
): void {
  let next = 0;
  for (let channel = 0; channel < CHANNELS; channel++) {
    for (const { data, width } of frames) {
      for (let y = top; y < top + patchSize; y++) {
        for (let x = left; x < left + patchSize; x++) {
          patch[next++] = normalized[channel][data[(y * width + x) * CHANNELS + channel]];
        }
      }
    }
  }
}

/** The normalised value of each of the 256 levels. Every step rounds to float32, as in numpy. */
function normalizedLevels(
  channel: number,
  { rescaleFactor, imageMean, imageStd }: ImageProcessorConfig,
): Float32Array {
  const mean = Math.fround(imageMean[channel]);
  const std = Math.fround(imageStd[channel]);
  return Float32Array.from({ length: 256 }, (_, level) => {
    const rescaled = Math.fround(level * rescaleFactor);
    return Math.fround(rescaled - mean) / std;
  });
}
