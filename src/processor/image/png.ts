/** PNG to RGB, equal to Pillow's `convert("RGB")` bit for bit. */

import { type CheckedPng, checkPng, corrupt, PNG_GREY, PNG_PALETTE, type PngHeader } from './pngGuard.ts';
import type { ImageLimits, RgbImage } from './rgbImage.ts';

/**
 * Decodes a PNG file: 1 to 16 bits, grey, palette or RGB, with or without alpha (dropped, not blended), interlaced or not.
 *
 * @param bytes a file that starts with PNG's signature
 * @param name the picture's name in error messages
 * @returns RGB, [height, width, 3] uint8
 * @throws ImageError as `checkPng`, and IMAGE_CORRUPT for an index outside the palette or an unknown scanline filter
 *
 * Follows: Pillow 11.3, PngImagePlugin.py and Convert.c; the PNG specification, sections 7.2 and 9
 */
export async function decodePng(bytes: Uint8Array, name: string, limits: ImageLimits): Promise<RgbImage> {
  const png = await checkPng(bytes, name, limits);
  const { width, height, depth, channels } = png.header;
  const pixelBytes = Math.ceil((channels * depth) / 8);
  const levelAt = levelReader(png, name);
  const data = new Uint8Array(height * width * 3); // [height, width, 3]
  let offset = 0;
  for (const { firstColumn, firstRow, columnStep, rowStep, columns, rows, rowBytes } of png.passes) {
    let above: Uint8Array = new Uint8Array(rowBytes); // zeros for the first scanline of a pass
    for (let row = 0; row < rows; row++) {
      const predict = PREDICTORS[png.scanlines[offset]];
      if (predict === undefined) throw corrupt(name, `has the unknown filter ${png.scanlines[offset]}`);
      const line = png.scanlines.subarray(offset + 1, offset + 1 + rowBytes);
      unfilter(line, above, pixelBytes, predict);
      for (let column = 0; column < columns; column++) {
        const pixel = (firstRow + row * rowStep) * width + firstColumn + column * columnStep;
        for (let channel = 0; channel < 3; channel++) {
          data[pixel * 3 + channel] = levelAt(line, column, channel);
        }
      }
      above = line;
      offset += 1 + rowBytes;
    }
  }
  return { width, height, data };
}

/** A filter's prediction of a byte, from the bytes to its left, above it, and above left. */
type Predictor = (left: number, up: number, upLeft: number) => number;

/** By the filter byte of a scanline. */
const PREDICTORS: readonly Predictor[] = [
  () => 0,
  (left) => left,
  (_, up) => up,
  (left, up) => (left + up) >> 1,
  paeth,
];

/** The Paeth predictor: whichever of the three is nearest to left + up - upLeft. */
function paeth(left: number, up: number, upLeft: number): number {
  const toLeft = Math.abs(up - upLeft);
  const toUp = Math.abs(left - upLeft);
  const toUpLeft = Math.abs(left + up - 2 * upLeft);
  if (toLeft <= toUp && toLeft <= toUpLeft) return left;
  return toUp <= toUpLeft ? up : upLeft;
}

/** Reverses the filter in place by adding the prediction to each byte. */
function unfilter(line: Uint8Array, above: Uint8Array, pixelBytes: number, predict: Predictor): void {
  for (let i = 0; i < line.length; i++) {
    const hasLeft = i >= pixelBytes;
    line[i] += predict(hasLeft ? line[i - pixelBytes] : 0, above[i], hasLeft ? above[i - pixelBytes] : 0);
  }
}

/** Reads red (channel 0), green or blue of a pixel in an unfiltered scanline, as 8 bits. */
function levelReader(
  { header, palette }: CheckedPng,
  name: string,
): (line: Uint8Array, column: number, channel: number) => number {
  const { depth, colourType, channels } = header;
  if (colourType === PNG_PALETTE) {
    return (line, column, channel) => {
      const entry = sampleAt(line, column, depth) * 3;
      if (entry >= palette.length) throw corrupt(name, `has the index ${entry / 3}, past its palette`);
      return palette[entry + channel];
    };
  }
  const to8Bits = sampleTo8Bits(header);
  const isGrey = channels < 3;
  return (line, column, channel) =>
    to8Bits(sampleAt(line, column * channels + (isGrey ? 0 : channel), depth));
}

/** The sample as stored: samples of less than 8 bits are packed from the high bits down, those of 16 bits are big-endian. */
function sampleAt(line: Uint8Array, index: number, depth: number): number {
  if (depth === 8) return line[index];
  if (depth === 16) return line[index * 2] * 256 + line[index * 2 + 1];
  const bit = index * depth;
  return (line[bit >> 3] >> (8 - depth - (bit & 7))) & (2 ** depth - 1);
}

function sampleTo8Bits({ depth, colourType }: PngHeader): (sample: number) => number {
  if (depth === 8) return (sample) => sample;
  if (depth < 8) {
    const step = 255 / (2 ** depth - 1); // 255, 85 or 17
    return (sample) => sample * step;
  }
  // QUIRK(grey16-saturates): Pillow clips 16-bit grey at 255 instead of scaling it, so most pictures turn white.
  if (colourType === PNG_GREY) return (sample) => Math.min(sample, 255);
  return (sample) => sample >> 8;
}
