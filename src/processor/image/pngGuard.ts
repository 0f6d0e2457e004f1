/** Parses and checks a PNG file, so that `png.ts` gets scanlines of the right number and size. */

import { ImageError } from '../../errors.ts';
import { concatenate } from '../concatenate.ts';
import { checkImageSize, type ImageLimits } from './rgbImage.ts';

export const PNG_GREY = 0;
export const PNG_PALETTE = 3;

/** Colour type -> samples per pixel and the bit depths that the standard allows. */
const COLOUR_TYPES: Readonly<Record<number, { channels: number; depths: readonly number[] }>> = {
  [PNG_GREY]: { channels: 1, depths: [1, 2, 4, 8, 16] },
  2: { channels: 3, depths: [8, 16] }, // RGB
  [PNG_PALETTE]: { channels: 1, depths: [1, 2, 4, 8] },
  4: { channels: 2, depths: [8, 16] }, // grey, alpha
  6: { channels: 4, depths: [8, 16] }, // RGB, alpha
};

/** Adam7: [first column, first row, column step, row step] of each pass. */
const ADAM7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

const SIGNATURE_BYTES = 8;
const IHDR_BYTES = 13;
/** Length, type and checksum around a chunk's data. */
const CHUNK_OVERHEAD = 12;

export interface PngHeader {
  readonly width: number;
  readonly height: number;
  /** Bits per sample. */
  readonly depth: number;
  readonly colourType: number;
  /** Samples per pixel. */
  readonly channels: number;
  readonly interlaced: boolean;
}

/** One pass of interlacing: a subset of columns and rows. Without interlacing there is one pass with all of them. */
export interface PngPass {
  readonly firstColumn: number;
  readonly firstRow: number;
  readonly columnStep: number;
  readonly rowStep: number;
  readonly columns: number;
  readonly rows: number;
  /** Bytes of one scanline, without its filter byte. */
  readonly rowBytes: number;
}

export interface CheckedPng {
  readonly header: PngHeader;
  /** RGB, [entries, 3]; empty if there is none. */
  readonly palette: Uint8Array;
  readonly passes: readonly PngPass[];
  /** The scanlines of all passes, still filtered, each after its filter byte. The length matches `passes`. */
  readonly scanlines: Uint8Array;
}

/**
 * Reads all chunks, checks their order, lengths and checksums, and inflates the pixel data, whose size must match the header
 * exactly. Ancillary chunks, e.g. text, are ignored; so is tRNS, because Pillow drops alpha.
 *
 * @param bytes a file that starts with PNG's signature
 * @throws ImageError IMAGE_TRUNCATED, IMAGE_INVALID, IMAGE_TOO_LARGE, IMAGE_CORRUPT, IMAGE_UNSUPPORTED (an
 *   unknown critical chunk, such as Apple's CgBI)
 */
export async function checkPng(bytes: Uint8Array, name: string, limits: ImageLimits): Promise<CheckedPng> {
  if (bytes.length < SIGNATURE_BYTES + CHUNK_OVERHEAD + IHDR_BYTES) {
    throw new ImageError(
      'IMAGE_TRUNCATED',
      `${name}: the PNG ends after ${bytes.length} bytes, inside its header`,
    );
  }
  let header: PngHeader | undefined;
  let palette: Uint8Array = new Uint8Array(0);
  const pixelData: Uint8Array[] = [];
  let pixelDataEnded = false;

  for (const { type, data } of readChunks(bytes, name)) {
    if (!header && type !== 'IHDR' && type !== 'CgBI') {
      throw corrupt(name, `starts with ${type} instead of IHDR`);
    }
    if (pixelData.length > 0 && type !== 'IDAT') pixelDataEnded = true;

    if (type === 'IHDR') {
      if (header) throw corrupt(name, 'has a second IHDR chunk');
      header = readHeader(data, name, limits);
    } else if (type === 'PLTE') {
      if (palette.length > 0) throw corrupt(name, 'has a second PLTE chunk');
      if (pixelData.length > 0) throw corrupt(name, 'has its PLTE chunk after the pixels');
      if (data.length === 0 || data.length % 3 !== 0 || data.length > 256 * 3) {
        throw corrupt(name, `has a PLTE chunk of ${data.length} bytes`);
      }
      palette = data;
    } else if (type === 'IDAT') {
      if (pixelDataEnded) throw corrupt(name, 'has other chunks between its IDAT chunks');
      pixelData.push(data);
    } else if (type !== 'IEND' && isCritical(type)) {
      throw new ImageError(
        'IMAGE_UNSUPPORTED',
        `${name}: the PNG needs a decoder that knows its ${type} chunk`,
      );
    }
  }

  if (!header || pixelData.length === 0) throw corrupt(name, 'has no pixels');
  if (header.colourType === PNG_PALETTE && palette.length === 0) {
    throw corrupt(name, 'has palette indices and no palette');
  }
  const passes = passesOf(header);
  const sizeBytes = passes.reduce((total, { rows, rowBytes }) => total + rows * (1 + rowBytes), 0);
  return { header, palette, passes, scanlines: await inflate(concatenate(pixelData), sizeBytes, name) };
}

interface Chunk {
  readonly type: string;
  readonly data: Uint8Array;
}

/** Yields the chunks up to and including IEND. Bytes after it are ignored, as in Pillow. */
function* readChunks(bytes: Uint8Array, name: string): Generator<Chunk> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let offset = SIGNATURE_BYTES;
  for (;;) {
    if (offset + CHUNK_OVERHEAD > bytes.length) throw corrupt(name, 'ends without an IEND chunk');
    const length = view.getUint32(offset);
    const type = String.fromCharCode(...bytes.subarray(offset + 4, offset + 8));
    if (!/^[A-Za-z]{4}$/.test(type)) {
      throw corrupt(name, `has no chunk where one should start, at byte ${offset}`);
    }
    const end = offset + CHUNK_OVERHEAD + length;
    if (end > bytes.length) {
      throw corrupt(name, `ends inside its ${type} chunk of ${length} bytes at ${offset}`);
    }
    if (crc32(bytes.subarray(offset + 4, end - 4)) !== view.getUint32(end - 4)) {
      throw corrupt(name, `has a wrong checksum in its ${type} chunk at byte ${offset}`);
    }
    yield { type, data: bytes.subarray(offset + 8, end - 4) };
    if (type === 'IEND') return;
    offset = end;
  }
}

function readHeader(data: Uint8Array, name: string, limits: ImageLimits): PngHeader {
  if (data.length !== IHDR_BYTES) throw corrupt(name, `has an IHDR chunk of ${data.length} bytes`);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const width = view.getUint32(0);
  const height = view.getUint32(4);
  const [depth, colourType, compression, filter, interlace] = data.subarray(8);
  checkImageSize(width, height, name, limits);
  if (!COLOUR_TYPES[colourType]?.depths.includes(depth)) {
    throw corrupt(name, `has colour type ${colourType} with ${depth} bits, which PNG does not allow`);
  }
  if (compression !== 0 || filter !== 0 || interlace > 1) {
    const methods = `compression ${compression}, filter ${filter}, interlace ${interlace}`;
    throw corrupt(name, `has unknown methods: ${methods}`);
  }
  const { channels } = COLOUR_TYPES[colourType];
  return { width, height, depth, colourType, channels, interlaced: interlace === 1 };
}

/** The passes that have any pixels, in file order. */
function passesOf({ width, height, depth, channels, interlaced }: PngHeader): PngPass[] {
  const passes = (interlaced ? ADAM7 : [[0, 0, 1, 1] as const]).map(
    ([firstColumn, firstRow, columnStep, rowStep]) => {
      const columns = Math.ceil((width - firstColumn) / columnStep);
      const rows = Math.ceil((height - firstRow) / rowStep);
      const rowBytes = Math.ceil((columns * channels * depth) / 8);
      return { firstColumn, firstRow, columnStep, rowStep, columns, rows, rowBytes };
    },
  );
  return passes.filter(({ columns, rows }) => columns > 0 && rows > 0);
}

/** Inflates to exactly `sizeBytes`, and stops as soon as there are more. @throws ImageError IMAGE_CORRUPT */
async function inflate(
  compressed: Uint8Array<ArrayBuffer>,
  sizeBytes: number,
  name: string,
): Promise<Uint8Array> {
  const inflated = new Uint8Array(sizeBytes);
  const reader = new Blob([compressed]).stream().pipeThrough(new DecompressionStream('deflate')).getReader();
  let filled = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (filled + value.length > sizeBytes) {
        await reader.cancel();
        throw new RangeError('the pixel data is longer than the picture');
      }
      inflated.set(value, filled);
      filled += value.length;
    }
  } catch (cause) {
    const what = `has pixel data that does not inflate to its ${sizeBytes} bytes, after ${filled}`;
    throw corrupt(name, what, cause);
  }
  if (filled < sizeBytes) throw corrupt(name, `has less pixel data than its ${sizeBytes} bytes`);
  return inflated;
}

/** An upper-case first letter marks a chunk that a decoder must understand. */
function isCritical(type: string): boolean {
  return type[0] < 'a';
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit++)
    remainder = remainder & 1 ? 0xedb88320 ^ (remainder >>> 1) : remainder >>> 1;
  return remainder;
});

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = CRC_TABLE[(crc ^ bytes[i]) & 0xff] ^ (crc >>> 8);
  return ~crc >>> 0;
}

export function corrupt(name: string, what: string, cause?: unknown): ImageError {
  return new ImageError('IMAGE_CORRUPT', `${name}: the PNG ${what}`, {
    hint: 'save the picture again',
    cause,
  });
}
