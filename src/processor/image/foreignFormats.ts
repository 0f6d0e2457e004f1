/** Recognises unsupported image formats, to name them in the error. */

/** [name, signature, byte offset of the signature] */
const FOREIGN_FORMATS: readonly [string, string, number][] = [
  ['GIF', 'GIF8', 0],
  ['WebP', 'WEBP', 8],
  ['HEIC', 'ftyphei', 4],
  ['HEIC', 'ftypmif1', 4],
  ['AVIF', 'ftypavi', 4],
  ['BMP', 'BM', 0],
  ['TIFF', 'II*\0', 0],
  ['TIFF', 'MM\0*', 0],
  ['JPEG XL', '\xff\x0a', 0],
  ['JPEG XL', 'JXL ', 4],
  ['JPEG 2000', 'jP  ', 4],
  ['ICO', '\0\0\x01\0', 0],
  ['PDF', '%PDF', 0],
];

/** The name of a file's format. @param start the first 256 bytes of the file, one character per byte */
export function foreignFormat(start: string): string {
  for (const [format, text, offset] of FOREIGN_FORMATS) {
    if (start.startsWith(text, offset)) return format;
  }
  const text = start
    .replace(/^\xef\xbb\xbf/, '')
    .trimStart()
    .toLowerCase();
  if (text.includes('<svg')) return 'SVG';
  if (text.startsWith('<!doctype html') || text.startsWith('<html')) return 'HTML';
  return 'an unknown format';
}
