/** From the bytes of a PNG or JPEG file to RGB pixels, as Pillow's `convert("RGB")` gives them. */

import { ImageError, InputError } from '../../errors.ts';
import { foreignFormat } from './foreignFormats.ts';
import { decodeJpeg } from './jpeg.ts';
import { decodePng } from './png.ts';
import { defaultImageLimits, type ImageLimits, type RgbImage } from './rgbImage.ts';

export type { ImageLimits, RgbImage } from './rgbImage.ts';
export { checkRgbImage, defaultImageLimits } from './rgbImage.ts';

const PNG_SIGNATURE = '\x89PNG\r\n\x1a\n';
const JPEG_SIGNATURE = '\xff\xd8\xff';

/**
 * Decodes a PNG or JPEG file. Its content decides the format.
 *
 * @param bytes the whole file; neither kept nor changed
 * @param name the picture's name in error messages
 * @param limits parts of `defaultImageLimits` to replace
 * @returns RGB, [height, width, 3] uint8. PNG equals Pillow 11.3 bit for bit; JPEG is within 3 levels of it
 * @throws InputError INPUT_TYPE (`bytes` is not a Uint8Array), INPUT_RANGE (a limit is not a positive number)
 * @throws ImageError IMAGE_EMPTY, IMAGE_TRUNCATED (ends inside its first header), IMAGE_UNSUPPORTED (another
 *   format, or a kind of PNG or JPEG that we can't read), IMAGE_INVALID (a side of 0), IMAGE_TOO_LARGE (over
 *   `limits`), IMAGE_CORRUPT
 *
 * Follows: bailing_qwen2_5_utils.py, fetch_image
 */
export async function decodeImage(
  bytes: Uint8Array,
  name: string,
  limits: Partial<ImageLimits> = {},
): Promise<RgbImage> {
  const allLimits = { ...defaultImageLimits, ...limits };
  for (const [field, limit] of Object.entries(allLimits)) {
    if (!(limit > 0)) {
      throw new InputError('INPUT_RANGE', `limits.${field} must be positive, got ${limit}`, { field });
    }
  }
  if (!(bytes instanceof Uint8Array)) {
    throw new InputError('INPUT_TYPE', `${name}: expected the file's bytes as a Uint8Array`, { field: name });
  }
  if (bytes.length === 0) throw new ImageError('IMAGE_EMPTY', `${name}: the file is empty`);
  checkFileSize(bytes.length, name, allLimits.maxBytes);

  if (startsWith(bytes, PNG_SIGNATURE)) return await decodePng(bytes, name, allLimits);
  if (startsWith(bytes, JPEG_SIGNATURE)) return decodeJpeg(bytes, name, allLimits);

  const start = String.fromCharCode(...bytes.subarray(0, 256));
  if (PNG_SIGNATURE.startsWith(start) || JPEG_SIGNATURE.startsWith(start)) {
    throw new ImageError('IMAGE_TRUNCATED', `${name}: the file ends after ${bytes.length} bytes`);
  }
  throw new ImageError('IMAGE_UNSUPPORTED', `${name}: is ${foreignFormat(start)}, not PNG or JPEG`, {
    hint: 'convert it to PNG',
  });
}

/** @throws ImageError IMAGE_TOO_LARGE when a file of `sizeBytes` is over `maxBytes` */
export function checkFileSize(sizeBytes: number, name: string, maxBytes: number): void {
  if (sizeBytes <= maxBytes) return;
  throw new ImageError('IMAGE_TOO_LARGE', `${name}: ${sizeBytes} bytes, the limit is ${maxBytes}`, {
    hint: 'scale the picture down first',
    expected: maxBytes,
    actual: sizeBytes,
  });
}

function startsWith(bytes: Uint8Array, signature: string): boolean {
  return String.fromCharCode(...bytes.subarray(0, signature.length)) === signature;
}
