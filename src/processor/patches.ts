/** From RGB pixels to the rows that the vision tower's first layer multiplies. */

import { InputError } from '../errors.ts';
import { checkRgbImage, type RgbImage } from './image/rgbImage.ts';
import { type ImageSize, type PixelLimits, resizeBicubic, smartResize, smartResizeStrict } from './resize.ts';

/** `preprocessor_config.json`, its own words in camelCase. */
export interface ImageProcessorConfig {
  readonly minPixels: number;
  readonly maxPixels: number;
  /** Pixels of a patch's side. */
  readonly patchSize: number;
  /** Frames in a patch; a still picture is repeated. */
  readonly temporalPatchSize: number;
  /** Patches of a merged patch's side. */
  readonly mergeSize: number;
  /** Of R, G, B, on the scale 0 to 1. */
  readonly imageMean: readonly number[];
  readonly imageStd: readonly number[];
  /** 1 / 255: brings a level to the scale 0 to 1. */
  readonly rescaleFactor: number;
}

/** What a message part may say about its picture's size, in pixels. */
export interface ResizeOptions {
  /** Default 3136. */
  readonly minPixels?: number;
  /** Default 12845056. */
  readonly maxPixels?: number;
  /** With `resizedWidth`: aim at this size, and forget minPixels and maxPixels. */
  readonly resizedHeight?: number;
  readonly resizedWidth?: number;
}

/** A picture after each resize; of a clip, its first frame. */
export interface ResizedImage {
  /** After `fetch_image`. */
  readonly resized: RgbImage;
  /** After the image processor's own resize. */
  readonly processed: RgbImage;
}

/** A picture or a clip, as the vision tower takes it. */
export interface PreprocessedImage extends ResizedImage {
  /** [t * h * w, channels * temporalPatchSize * patchSize * patchSize]: see `extractPatches` */
  readonly pixelValues: Float32Array;
  /** Patches along time, height, width. */
  readonly gridThw: [t: number, h: number, w: number];
  /** Seconds from one temporal patch of a clip to the next, if it is known. */
  readonly secondsPerGrid?: number;
}

/** What a still picture's area is brought to. */
export const FETCH_LIMITS: PixelLimits = { minPixels: 4 * 28 * 28, maxPixels: 16_384 * 28 * 28 };
const CHANNELS = 3;

/**
 * Resizes a picture twice, as the reference does, normalises it and cuts it into patches.
 *
 * @param image RGB, [height, width, 3] uint8
 * @param options of the message part that the picture stands in
 * @param config of the checkpoint
 * @param name what error messages call the picture
 * @returns `pixelValues` [t * h * w, 1176] float32, its grid, and the pixels after each resize
 * @throws InputError INPUT_TYPE, INPUT_LENGTH (`image`), INPUT_RANGE (a limit or size that is no positive
 *   whole number, minPixels over maxPixels, one of resizedHeight and resizedWidth alone)
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
 * The first resize and the image processor's own.
 *
 * @param size of the first; the second is the processor's to choose
 * @throws ImageError IMAGE_ASPECT, IMAGE_TOO_SMALL
 */
export function resizeTwice(
  image: RgbImage,
  size: ImageSize,
  config: ImageProcessorConfig,
  name: string,
): ResizedImage {
  const resized = resizeBicubic(image, size.height, size.width);
  // QUIRK(double-resize): the processor fits the picture to its own limits once more.
  const factor = config.patchSize * config.mergeSize;
  const second = smartResizeStrict(size.height, size.width, config, { factor, name });
  return { resized, processed: resizeBicubic(resized, second.height, second.width) };
}

/**
 * The size of the first resize, as a message part asks for it.
 *
 * @param image the picture, or its size alone
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
      const message = `${name}: resizedHeight and resizedWidth go together, as positive whole numbers`;
      throw new InputError('INPUT_RANGE', `${message}; ${field} is ${side}`, { field, actual: side });
    }
  }
  return smartResize(resizedHeight as number, resizedWidth as number, FETCH_LIMITS, { name });
}

/**
 * Normalises frames and lays them out patch by patch. Each `temporalPatchSize` of them, one after the other, make one
 * step of time; in it the patches of one merged patch stand together, and so do merged patches of one row. Columns of
 * a row: channel, frame, y, x.
 *
 * @param frames of one size, a multiple of the merged patch; as many as fill their temporal patches
 * @returns `pixelValues` [t * h * w, channels * temporalPatchSize * patchSize * patchSize] float32, and the grid
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

/** One row of `pixelValues`: the same square of each frame of a step of time. */
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

/** What each of the 256 levels becomes; every step rounds to float32, as numpy's does. */
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
