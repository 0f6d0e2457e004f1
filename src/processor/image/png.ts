/** PNG to RGB, equal to Pillow's `convert("RGB")` bit for bit. */

import { PNG } from 'pngjs';
import { ImageError } from '../../errors.ts';
import { checkPng, PNG_GREY, PNG_PALETTE, type PngHeader } from './pngGuard.ts';
import type { ImageLimits, RgbImage } from './rgbImage.ts';

/**
 * Decodes a PNG file: 1 to 16 bits, grey, palette or RGB, with or without alpha (dropped, not blended),
 * interlaced or not.
 *
 * @param bytes a file that starts with PNG's signature
 * @param name what error messages call the picture
 * @returns RGB, [height, width, 3] uint8
 * @throws ImageError as `checkPng` does, and IMAGE_CORRUPT for what pngjs can't decode (an index past the
 *   palette, a scanline filter that does not exist)
 *
 * Follows: Pillow 11.3, PngImagePlugin.py and Convert.c
 */
export async function decodePng(bytes: Uint8Array, name: string, limits: ImageLimits): Promise<RgbImage> {
  const { header, bytes: checked } = await checkPng(bytes, name, limits);
  const { width, height } = header;
  let rgba: ArrayLike<number>; // [height, width, 4]
  try {
    // Only the synchronous API: an error inside the asynchronous one can't be caught.
    rgba = PNG.sync.read(asPngjsBytes(checked), { checkCRC: false, skipRescale: true }).data;
  } catch (cause) {
    const hint = 'save the picture again';
    throw new ImageError('IMAGE_CORRUPT', `${name}: the PNG's pixels can't be decoded`, { hint, cause });
  }
  const to8Bits = sampleTo8Bits(header);
  const data = new Uint8Array(height * width * 3);
  for (let pixel = 0; pixel < height * width; pixel++) {
    for (let channel = 0; channel < 3; channel++) {
      data[pixel * 3 + channel] = to8Bits(rgba[pixel * 4 + channel]);
    }
  }
  return { width, height, data };
}

/** With `skipRescale` pngjs gives the samples as they are stored, and palettes looked up. */
function sampleTo8Bits({ depth, colourType }: PngHeader): (sample: number) => number {
  if (depth === 8 || colourType === PNG_PALETTE) return (sample) => sample;
  if (depth < 8) {
    const step = 255 / (2 ** depth - 1); // 255, 85, 17: always whole
    return (sample) => sample * step;
  }
  // QUIRK(grey16-saturates): Pillow clips 16-bit grey at 255 instead of scaling it; most pictures turn white.
  if (colourType === PNG_GREY) return (sample) => Math.min(sample, 255);
  return (sample) => sample >> 8;
}

/** pngjs reads only Buffers (Node's, or in a page its own): the pixels of a blank picture are one. */
function asPngjsBytes(bytes: Uint8Array) {
  const own = new PNG({ width: Math.ceil(bytes.length / 4), height: 1 }).data.subarray(0, bytes.length);
  own.set(bytes);
  return own;
}
