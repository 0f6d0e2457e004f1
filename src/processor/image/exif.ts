/** The orientation of photos: cameras store pixels as the sensor sees them, and EXIF says how to turn them upright. */

import { EOI, nextMarker, SOS } from './jpegGuard.ts';
import type { RgbImage } from './rgbImage.ts';

const APP1 = 0xe1;
const EXIF = 'Exif\0\0';
const LITTLE_ENDIAN = 'II*\0';
const BIG_ENDIAN = 'MM\0*';
const ENTRY_BYTES = 12;
const ORIENTATION_TAG = 0x0112;
const SHORT = 3;
const LONG = 4;

/** EXIF's numbers; 1 is upright. `applyOrientation` draws them. */
export type Orientation = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;

/**
 * Reads the orientation from the first EXIF segment before a JPEG's pixels. It reads only the first directory and follows no
 * further offsets, so a malicious file can't make it loop. Other formats give 1; PNG's eXIf chunk (rare) and XMP are not read.
 *
 * @param jpegBytes a whole file of any format
 * @returns 1 to 8; 1 if there is none, if it is not a single 16- or 32-bit number from 1 to 8, or if EXIF is damaged before it.
 *   If there are several, the last counts
 *
 * Follows: Pillow 11.3, ImageOps.exif_transpose
 */
export function exifOrientation(jpegBytes: Uint8Array): Orientation {
  const tiff = findTiff(jpegBytes);
  if (tiff.length < 8) return 1;
  const isLittle = hasTextAt(tiff, 0, LITTLE_ENDIAN);
  if (!isLittle && !hasTextAt(tiff, 0, BIG_ENDIAN)) return 1;

  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.length);
  const directory = view.getUint32(4, isLittle);
  if (directory + 2 > tiff.length) return 1;
  const firstEntry = directory + 2;
  const end = Math.min(firstEntry + view.getUint16(directory, isLittle) * ENTRY_BYTES, tiff.length);

  let orientation = 1;
  for (let entry = firstEntry; entry + ENTRY_BYTES <= end; entry += ENTRY_BYTES) {
    if (view.getUint16(entry, isLittle) !== ORIENTATION_TAG) continue;
    const type = view.getUint16(entry + 2, isLittle);
    const count = view.getUint32(entry + 4, isLittle);
    if (count !== 1) continue;
    if (type === SHORT) orientation = view.getUint16(entry + 8, isLittle);
    if (type === LONG) orientation = view.getUint32(entry + 8, isLittle);
  }
  return orientation >= 1 && orientation <= 8 ? (orientation as Orientation) : 1;
}

/**
 * Turns and mirrors a picture so that it stands upright.
 *
 * ```
 *  stored     1       2       3       4      5     6     7     8
 *  a b c    a b c   c b a   f e d   d e f   a d   d a   f c   c f
 *  d e f    d e f   f e d   c b a   a b c   b e   e b   e b   b e
 *                                           c f   f c   d a   a d
 * ```
 *
 * @param image RGB, [height, width, 3] uint8; not changed
 * @param orientation how it is stored
 * @returns RGB, [height, width, 3] uint8, for orientations 5 to 8 [width, height, 3]; for 1 the same picture, not a copy
 *
 * Follows: Pillow 11.3, ImageOps.exif_transpose
 */
export function applyOrientation(image: RgbImage, orientation: Orientation): RgbImage {
  if (orientation === 1) return image;
  const isTransposed = orientation >= 5;
  const isMirroredX = [2, 3, 7, 8].includes(orientation);
  const isMirroredY = [3, 4, 6, 7].includes(orientation);
  const width = isTransposed ? image.height : image.width;
  const height = isTransposed ? image.width : image.height;
  const data = new Uint8Array(height * width * 3);

  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const alongX = isTransposed ? y : x;
      const alongY = isTransposed ? x : y;
      const storedX = isMirroredX ? image.width - 1 - alongX : alongX;
      const storedY = isMirroredY ? image.height - 1 - alongY : alongY;
      for (let channel = 0; channel < 3; channel++) {
        data[(y * width + x) * 3 + channel] = image.data[(storedY * image.width + storedX) * 3 + channel];
      }
    }
  }
  return { width, height, data };
}

/** The body of the first EXIF segment, after its name; empty if there is none or it exceeds the file. */
function findTiff(bytes: Uint8Array): Uint8Array {
  const nothing = new Uint8Array();
  if (!hasTextAt(bytes, 0, '\xff\xd8')) return nothing;
  let offset = nextMarker(bytes, 2);
  while (offset + 4 <= bytes.length) {
    const marker = bytes[offset + 1];
    const end = offset + 2 + bytes[offset + 2] * 256 + bytes[offset + 3];
    if (marker === SOS || marker === EOI || end > bytes.length) return nothing;
    if (marker === APP1 && hasTextAt(bytes, offset + 4, EXIF)) {
      return bytes.subarray(offset + 4 + EXIF.length, end);
    }
    offset = nextMarker(bytes, end);
  }
  return nothing;
}

function hasTextAt(bytes: Uint8Array, offset: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    if (bytes[offset + i] !== text.charCodeAt(i)) return false;
  }
  return true;
}
