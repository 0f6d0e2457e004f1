/** From RGB pixels to the rows that the vision tower's first layer multiplies. */

import { InputError } from '../errors.ts';
import { type PixelLimits, resizeBicubic, smartResize, smartResizeStrict } from './resize.ts';
import { checkRgbImage, type RgbImage } from './rgbImage.ts';

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

export interface PreprocessedImage {
  /** [t * h * w, channels * temporalPatchSize * patchSize * patchSize]: see `extractPatches` */
  readonly pixelValues: Float32Array;
  /** Patches along time, height, width. */
  readonly gridThw: [t: number, h: number, w: number];
  /** After `fetch_image`. */
  readonly resized: RgbImage;
  /** After the image processor's own resize. */
  readonly processed: RgbImage;
}

const FETCH_LIMITS: PixelLimits = { minPixels: 4 * 28 * 28, maxPixels: 16_384 * 28 * 28 };
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
  const fetchSize = fetchImageSize(source, options, name);
  const resized = resizeBicubic(source, fetchSize.height, fetchSize.width);

  // QUIRK(double-resize): the processor fits the picture to its own limits once more.
  const factor = config.patchSize * config.mergeSize;
  const size = smartResizeStrict(resized.height, resized.width, config, { factor, name });
  const processed = resizeBicubic(resized, size.height, size.width);

  const gridThw: [number, number, number] = [
    1,
    size.height / config.patchSize,
    size.width / config.patchSize,
  ];
  return { pixelValues: extractPatches(processed, config), gridThw, resized, processed };
}

function fetchImageSize(image: RgbImage, options: ResizeOptions, name: string) {
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
 * Normalises a picture and lays it out patch by patch: the patches of one merged patch stand together, and so
 * do merged patches of one row. Columns of a row: channel, frame (all equal), y, x.
 */
function extractPatches(image: RgbImage, config: ImageProcessorConfig): Float32Array {
  const { patchSize, mergeSize, temporalPatchSize } = config;
  const normalized = Array.from({ length: CHANNELS }, (_, channel) => normalizedLevels(channel, config));
  const pixelValues = new Float32Array(image.height * image.width * CHANNELS * temporalPatchSize);
  const mergedRows = image.height / patchSize / mergeSize;
  const mergedColumns = image.width / patchSize / mergeSize;

  let next = 0;
  for (let mergedRow = 0; mergedRow < mergedRows; mergedRow++) {
    for (let mergedColumn = 0; mergedColumn < mergedColumns; mergedColumn++) {
      for (let rowInMerge = 0; rowInMerge < mergeSize; rowInMerge++) {
        for (let columnInMerge = 0; columnInMerge < mergeSize; columnInMerge++) {
          const top = (mergedRow * mergeSize + rowInMerge) * patchSize;
          const left = (mergedColumn * mergeSize + columnInMerge) * patchSize;

          for (let channel = 0; channel < CHANNELS; channel++) {
            for (let frame = 0; frame < temporalPatchSize; frame++) {
              for (let y = top; y < top + patchSize; y++) {
                for (let x = left; x < left + patchSize; x++) {
                  const level = image.data[(y * image.width + x) * CHANNELS + channel];
                  pixelValues[next++] = normalized[channel][level];
                }
              }
            }
          }
        }
      }
    }
  }
  return pixelValues;
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
