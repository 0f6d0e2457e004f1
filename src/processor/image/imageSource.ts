/** Loads a message's image from a file, a data URL, bytes, or pixels. */

import { ImageError, InputError } from '../../errors.ts';
import { applyOrientation, exifOrientation } from './exif.ts';
import { checkRgbImage, decodeImage, defaultImageLimits, type ImageLimits, type RgbImage } from './image.ts';

/**
 * The image of a message part: a path or `file://` URL (Node only), a `data:image/…;base64,…` URL, the bytes of a PNG or JPEG
 * file, or decoded pixels.
 */
export type ImageSource = string | Uint8Array | RgbImage;

/** An image and its name in error messages. */
export type LoadedImage = RgbImage & { readonly name: string };

export interface LoadImageOptions {
  /** Parts of `defaultImageLimits` to replace. */
  readonly limits?: Partial<ImageLimits>;
  /** 'ignore' (default, as the reference) keeps a JPEG's pixels as stored; 'apply' turns them upright. */
  readonly exifOrientation?: 'ignore' | 'apply';
}

/**
 * Fetches and decodes the picture of one message part.
 *
 * @param field argument path for messages, e.g. `messages[0].content[1].image`
 * @returns RGB, [height, width, 3] uint8
 * @throws InputError INPUT_TYPE, INPUT_LENGTH (see `checkRgbImage`)
 * @throws ImageError IMAGE_NOT_FOUND (no such file, not a regular file, or not readable), IMAGE_DATA_URL (not an image, or not
 *   valid base64), IMAGE_UNSUPPORTED (a remote URL), and as `decodeImage`
 *
 * Follows: bailing_qwen2_5_utils.py, fetch_image
 */
export async function loadImage(
  source: ImageSource,
  field: string,
  options: LoadImageOptions = {},
): Promise<LoadedImage> {
  if (typeof source !== 'string') {
    const image =
      source instanceof Uint8Array ? await decode(source, field, options) : checkRgbImage(source, field);
    return { ...image, name: field };
  }
  const { maxBytes } = { ...defaultImageLimits, ...options.limits };
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(source)?.[1].toLowerCase();
  if (/^data:/i.test(source)) {
    return { ...(await decode(decodeDataUrl(source, field, maxBytes), field, options)), name: field };
  }
  if (scheme !== undefined && scheme !== 'file') {
    const hint = 'download it and pass the path or the bytes';
    throw new ImageError('IMAGE_UNSUPPORTED', `${field}: pictures are not fetched from ${scheme}:// URLs`, {
      hint,
    });
  }
  if (source === '') throw new InputError('INPUT_EMPTY', `${field}: the path is empty`, { field });
  const name = `${field} (${source})`;
  const { readImageFile } = await import('./imageFile.node.ts'); // in a page: withoutNode.ts
  return { ...(await decode(await readImageFile(source, name, maxBytes), name, options)), name };
}

async function decode(bytes: Uint8Array, name: string, options: LoadImageOptions): Promise<RgbImage> {
  const image = await decodeImage(bytes, name, options.limits);
  return options.exifOrientation === 'apply' ? applyOrientation(image, exifOrientation(bytes)) : image;
}

/** The MIME type only has to be `image/…`: the content decides the format. */
function decodeDataUrl(url: string, field: string, maxBytes: number): Uint8Array {
  const comma = url.indexOf(',');
  const header = url.slice(0, Math.max(comma, 0)).toLowerCase();
  if (!header.startsWith('data:image/') || !header.endsWith(';base64')) {
    const hint = 'write it as data:image/png;base64,…';
    throw new ImageError('IMAGE_DATA_URL', `${field}: the data URL is not a base64 image`, { hint });
  }
  // Four characters encode three bytes.
  const sizeBytes = Math.floor(((url.length - comma - 1) * 3) / 4);
  if (sizeBytes > maxBytes + 2) {
    const message = `${field}: the data URL holds ${sizeBytes} bytes, the limit is ${maxBytes}`;
    throw new ImageError('IMAGE_TOO_LARGE', message, { hint: 'scale the picture down first' });
  }
  let text: string;
  try {
    text = atob(url.slice(comma + 1));
  } catch (cause) {
    throw new ImageError('IMAGE_DATA_URL', `${field}: the data URL's base64 is broken`, { cause });
  }
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}
