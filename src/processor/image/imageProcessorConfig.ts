/** `preprocessor_config.json`: how images are turned into patches. */
import {
  assertOnly,
  fieldError,
  integerField,
  type JsonObject,
  numberField,
  numbersField,
  parseConfigObject,
} from '../../json.ts';
import type { ImageProcessorConfig } from '../patches.ts';

const CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073];
const CLIP_STD = [0.26862954, 0.26130258, 0.27577711];

/** The published checkpoint's file, for folders without one. */
export const DEFAULT_IMAGE_PROCESSOR: ImageProcessorConfig = {
  minPixels: 56 * 56,
  maxPixels: 16384 * 28 * 28,
  patchSize: 14,
  temporalPatchSize: 2,
  mergeSize: 2,
  imageMean: CLIP_MEAN,
  imageStd: CLIP_STD,
  rescaleFactor: 1 / 255,
};

// If a file leaves out `max_pixels`, the default of the reference's class applies, not that of the published file.
const CLASS_MAX_PIXELS = 1280 * 28 * 28;

const PIXELS = { min: 1, max: 2 ** 40 };

/**
 * Parses `preprocessor_config.json`. Only `min_pixels` and `max_pixels` limit the size: the reference ignores `size`.
 *
 * @param bytes UTF-8 JSON, with or without a byte order mark
 * @param file the file's name in error messages
 * @throws ConfigError CONFIG_PARSE, CONFIG_TOO_LARGE, CONFIG_TYPE, CONFIG_RANGE, CONFIG_INCONSISTENT (`min_pixels` over
 *   `max_pixels`), CONFIG_UNSUPPORTED (a step is switched off, or the filter is not bicubic)
 *
 * Follows: transformers 4.49 Qwen2VLImageProcessor.__init__ (defaults)
 */
export function parseImageProcessorConfig(bytes: Uint8Array, file: string): ImageProcessorConfig {
  const config = parseConfigObject(bytes, file);
  for (const step of ['do_convert_rgb', 'do_resize', 'do_rescale', 'do_normalize'])
    assertOnly(config, step, true);
  assertOnly(config, 'resample', 3); // PIL's number of bicubic
  const minPixels = integerField(config, 'min_pixels', PIXELS, DEFAULT_IMAGE_PROCESSOR.minPixels);
  const maxPixels = integerField(config, 'max_pixels', PIXELS, CLASS_MAX_PIXELS);
  if (minPixels > maxPixels) {
    throw fieldError('CONFIG_INCONSISTENT', config, 'min_pixels', `at most max_pixels (${maxPixels})`);
  }
  return {
    minPixels,
    maxPixels,
    patchSize: integerField(config, 'patch_size', { min: 1, max: 256 }, DEFAULT_IMAGE_PROCESSOR.patchSize),
    temporalPatchSize: integerField(
      config,
      'temporal_patch_size',
      { min: 1, max: 16 },
      DEFAULT_IMAGE_PROCESSOR.temporalPatchSize,
    ),
    mergeSize: integerField(config, 'merge_size', { min: 1, max: 16 }, DEFAULT_IMAGE_PROCESSOR.mergeSize),
    imageMean: rgbField(config, 'image_mean', -1e3, CLIP_MEAN),
    imageStd: rgbField(config, 'image_std', 1e-6, CLIP_STD),
    rescaleFactor: numberField(
      config,
      'rescale_factor',
      { min: 1e-9, max: 1 },
      DEFAULT_IMAGE_PROCESSOR.rescaleFactor,
    ),
  };
}

/** Three numbers, or one for all channels; null means the default. */
function rgbField(
  config: JsonObject,
  key: string,
  min: number,
  fallback: readonly number[],
): readonly number[] {
  const range = { min, max: 1e3 };
  const value = config.fields.get(key);
  if (value === null) return fallback;
  if (typeof value === 'number') return new Array<number>(3).fill(numberField(config, key, range));
  const values = numbersField(config, key, range, fallback);
  if (values.length === 3) return values;
  throw fieldError('CONFIG_TYPE', config, key, 'one number each for red, green and blue');
}
