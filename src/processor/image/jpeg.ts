/** JPEG to RGB: jpeg-js decodes the planes, and `jpegColor.ts` does the rest like libjpeg-turbo. */

import { decode } from 'jpeg-js';
import { ImageError } from '../../errors.ts';
import { upsample, yccToRgb } from './jpegColor.ts';
import { type CheckedJpeg, checkJpeg, type JpegFrame } from './jpegGuard.ts';
import type { ImageLimits, RgbImage } from './rgbImage.ts';

/** Enough for 50 megapixels at 4:2:0, as jpeg-js keeps 4 bytes per coefficient. */
const MAX_MEMORY_MB = 1024;

/**
 * Decodes a baseline or progressive JPEG: grey, YCbCr, RGB, CMYK or YCCK. EXIF orientation is ignored
 * here; `exif.ts` reads it.
 *
 * @param bytes a file that starts with JPEG's SOI
 * @param name the picture's name in error messages
 * @returns RGB, [height, width, 3] uint8; within 3 levels of Pillow's (jpeg-js rounds its inverse DCT differently)
 * @throws ImageError as `checkJpeg`, IMAGE_TOO_LARGE (over jpeg-js's memory limit), IMAGE_CORRUPT (jpeg-js can't decode it)
 *
 * Follows: Pillow 11.3, JpegImagePlugin.py; libjpeg-turbo, jdsample.c and jdcolor.c
 */
export function decodeJpeg(bytes: Uint8Array, name: string, limits: ImageLimits): RgbImage {
  const checked = checkJpeg(bytes, name, limits);
  const { frame, colour } = checked;
  const { width, height } = frame;
  const channels = decodeChannels(checked, name, limits);
  if (colour === 'cmyk' || colour === 'ycck') return { width, height, data: channels };

  const planes = frame.components.map((_, index) => fullSizePlane(channels, frame, index));
  const data = new Uint8Array(height * width * 3);
  if (colour === 'ycc') {
    yccToRgb(planes[0], planes[1], planes[2], data);
  } else {
    for (let pixel = 0; pixel < height * width; pixel++) {
      for (let channel = 0; channel < 3; channel++) {
        data[pixel * 3 + channel] = planes[colour === 'grey' ? 0 : channel][pixel];
      }
    }
  }
  return { width, height, data };
}

/**
 * Decodes with jpeg-js to [height, width, 3]. Three components: the planes without colour conversion, with samples of smaller
 * planes repeated. One component: that plane three times. Four components: RGB.
 */
function decodeChannels({ bytes }: CheckedJpeg, name: string, limits: ImageLimits): Uint8Array {
  try {
    const { data } = decode(bytes, {
      useTArray: true,
      colorTransform: false,
      formatAsRGBA: false,
      maxResolutionInMP: limits.maxPixels / 1e6,
      maxMemoryUsageInMB: MAX_MEMORY_MB,
    });
    return data;
  } catch (cause) {
    if (cause instanceof Error && cause.message.includes('maxMemoryUsageInMB')) {
      const hint = 'scale the picture down first';
      throw new ImageError('IMAGE_TOO_LARGE', `${name}: decoding takes over ${MAX_MEMORY_MB} MB`, {
        hint,
        cause,
      });
    }
    const hint = 'save the picture again';
    throw new ImageError('IMAGE_CORRUPT', `${name}: the JPEG's pixels can't be decoded`, { hint, cause });
  }
}

/** One component at full size: removes the samples that jpeg-js repeated, then upsamples properly. */
function fullSizePlane(channels: Uint8Array, frame: JpegFrame, index: number): Uint8Array {
  const { width, height, maxH, maxV, components } = frame;
  const horizontal = maxH / components[index].h;
  const vertical = maxV / components[index].v;
  const planeWidth = Math.ceil(width / horizontal);
  const planeHeight = Math.ceil(height / vertical);
  const samples = new Uint8Array(planeHeight * planeWidth);
  for (let y = 0; y < planeHeight; y++) {
    for (let x = 0; x < planeWidth; x++) {
      samples[y * planeWidth + x] = channels[(y * vertical * width + x * horizontal) * 3 + index];
    }
  }
  const plane = { width: planeWidth, height: planeHeight, samples };
  return upsample(plane, { width, height, horizontal, vertical });
}
