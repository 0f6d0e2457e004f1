/**
 * Checks a JPEG file before `jpeg-js` sees it, and rewrites it without the parts that must not influence the decoder: jpeg-js
 * lets an Adobe marker overrule its colorTransform option, trusts lengths, and decodes any number of scans.
 */

import { ImageError } from '../../errors.ts';
import { concatenate } from '../concatenate.ts';
import { checkImageSize, type ImageLimits } from './rgbImage.ts';

const TEM = 0x01;
const DHT = 0xc4;
const SOI = 0xd8;
export const EOI = 0xd9;
export const SOS = 0xda;
const DQT = 0xdb;
const DRI = 0xdd;
const APP0 = 0xe0;
const APP14 = 0xee;

/** Frames that jpeg-js decodes: Huffman-coded baseline, extended and progressive ones. */
const PROGRESSIVE = 0xc2;
const FRAMES = [0xc0, 0xc1, PROGRESSIVE];
const FOREIGN_FRAMES: ReadonlyMap<number, string> = new Map([
  [0xc3, 'lossless'],
  [0xc5, 'hierarchical'],
  [0xc6, 'hierarchical'],
  [0xc7, 'hierarchical lossless'],
  [0xc9, 'arithmetic-coded'],
  [0xca, 'arithmetic-coded progressive'],
  [0xcb, 'arithmetic-coded lossless'],
  [0xcd, 'arithmetic-coded hierarchical'],
  [0xce, 'arithmetic-coded hierarchical'],
  [0xcf, 'arithmetic-coded hierarchical lossless'],
]);

/** Encoders write about 10. Each takes a pass over all blocks. */
const MAX_SCANS = 100;
/** T.81 B.2.3: an interleaved scan has at most 10 blocks per MCU. */
const MAX_BLOCKS_IN_MCU = 10;

export type JpegColour = 'grey' | 'rgb' | 'ycc' | 'cmyk' | 'ycck';

export interface JpegComponent {
  readonly id: number;
  /** Sampling factors: 1, 2 or 4, relative to the frame's largest. */
  readonly h: number;
  readonly v: number;
}

export interface JpegFrame {
  readonly width: number;
  readonly height: number;
  readonly components: readonly JpegComponent[];
  readonly maxH: number;
  readonly maxV: number;
  readonly progressive: boolean;
}

export interface CheckedJpeg {
  readonly frame: JpegFrame;
  readonly colour: JpegColour;
  /** The rewritten file: tables, frame, scans and EOI, and for four components an Adobe marker of our own. */
  readonly bytes: Uint8Array;
}

/**
 * Walks the file's segments up to EOI and checks every length and count that jpeg-js would trust.
 *
 * @param bytes a file that starts with SOI
 * @throws ImageError IMAGE_TRUNCATED (nothing but SOI), IMAGE_INVALID, IMAGE_TOO_LARGE, IMAGE_CORRUPT, IMAGE_UNSUPPORTED
 *   (arithmetic coding, lossless, 12 bits, two components, unusual sampling, over 100 scans, a height after the pixels)
 */
export function checkJpeg(bytes: Uint8Array, name: string, limits: ImageLimits): CheckedJpeg {
  if (bytes.length < 4) {
    throw new ImageError('IMAGE_TRUNCATED', `${name}: the JPEG ends after ${bytes.length} bytes`);
  }
  const kept: Uint8Array[] = [];
  let frame: JpegFrame | undefined;
  let sawJfif = false;
  let adobeTransform: number | undefined;
  let scans = 0;
  let codedBytes = 0;

  let offset = nextMarker(bytes, 2);
  while (offset < bytes.length && bytes[offset + 1] !== EOI) {
    const marker = bytes[offset + 1];
    if (marker === SOI) throw corrupt(name, 'has a second start marker inside');
    if (marker === TEM) {
      offset = nextMarker(bytes, offset + 2);
      continue;
    }
    // The length includes its own two bytes. Past the end of the file it reads as NaN, which fails both comparisons.
    const end = offset + 2 + bytes[offset + 2] * 256 + bytes[offset + 3];
    if (!(end >= offset + 4 && end <= bytes.length)) {
      throw corrupt(name, `ends inside a segment at byte ${offset}`);
    }
    const body = bytes.subarray(offset + 4, end);
    const segment = bytes.subarray(offset, end);
    offset = nextMarker(bytes, end);

    if (FOREIGN_FRAMES.has(marker)) {
      throw unsupported(name, `is ${FOREIGN_FRAMES.get(marker)}`);
    } else if (FRAMES.includes(marker)) {
      if (frame) throw corrupt(name, 'has a second frame');
      frame = readFrame(body, marker === PROGRESSIVE, name, limits);
      kept.push(segment);
    } else if (marker === SOS) {
      if (!frame) throw corrupt(name, 'has a scan before its frame header');
      checkScan(body, frame, name);
      scans++;
      if (scans > MAX_SCANS) throw unsupported(name, `has more than ${MAX_SCANS} scans`);
      codedBytes += offset - end;
      kept.push(segment, bytes.subarray(end, offset));
    } else if (marker === DHT || marker === DQT || marker === DRI) {
      if (!tablesFillSegment(marker, body)) throw corrupt(name, `has a damaged table before byte ${end}`);
      kept.push(segment);
    } else if (marker === APP0) {
      sawJfif ||= body.length >= 12 && startsWith(body, 'JFIF\0');
    } else if (marker === APP14 && body.length >= 12 && startsWith(body, 'Adobe')) {
      adobeTransform = body[11];
    }
  }

  if (!frame || scans === 0) throw corrupt(name, 'has no pixels');
  // A block takes at least one bit, so that a short file can't make us allocate a large frame.
  if (codedBytes * 8 < countBlocks(frame)) throw corrupt(name, 'is too short for its size');
  const colour = colourOf(frame.components, sawJfif, adobeTransform);
  const isFour = frame.components.length === 4;
  const adobe = isFour ? [adobeSegment(colour === 'ycck' ? 2 : 0)] : [];
  const start = Uint8Array.of(0xff, SOI);
  return { frame, colour, bytes: concatenate([start, ...adobe, ...kept, Uint8Array.of(0xff, EOI)]) };
}

/**
 * The offset of the next marker from `offset` on, or the end. It skips entropy-coded data (where ff 00 is a byte and ff d0 to
 * ff d7 are restarts), fill bytes and stray bytes.
 */
export function nextMarker(bytes: Uint8Array, offset: number): number {
  for (let i = offset; i + 1 < bytes.length; i++) {
    if (bytes[i] !== 0xff) continue;
    const code = bytes[i + 1];
    if (code !== 0x00 && code !== 0xff && (code < 0xd0 || code > 0xd7)) return i;
  }
  return bytes.length;
}

function readFrame(body: Uint8Array, progressive: boolean, name: string, limits: ImageLimits): JpegFrame {
  const count = body[5];
  if (body.length !== 6 + 3 * count || count < 1 || count > 4) {
    throw corrupt(name, 'has a damaged frame header');
  }
  if (body[0] !== 8) throw unsupported(name, `has ${body[0]} bits per sample`);
  const height = body[1] * 256 + body[2];
  const width = body[3] * 256 + body[4];
  if (height === 0 && width > 0) throw unsupported(name, 'gives its height after the pixels (DNL)');
  checkImageSize(width, height, name, limits);
  if (count === 2) throw unsupported(name, 'has two components');

  const components: JpegComponent[] = [];
  for (let i = 6; i < body.length; i += 3) {
    if (components.some(({ id }) => id === body[i])) throw corrupt(name, `has component ${body[i]} twice`);
    components.push({ id: body[i], h: body[i + 1] >> 4, v: body[i + 1] & 15 });
  }
  const maxH = Math.max(...components.map(({ h }) => h));
  const maxV = Math.max(...components.map(({ v }) => v));
  const factorsOk = components.every(({ h, v }) => [1, 2, 4].includes(h) && [1, 2, 4].includes(v));
  const blocks = components.reduce((total, { h, v }) => total + h * v, 0);
  if (!factorsOk || (count > 1 && blocks > MAX_BLOCKS_IN_MCU)) {
    throw unsupported(name, `has sampling ${components.map(({ h, v }) => `${h}x${v}`).join(', ')}`);
  }
  // jpeg-js returns four components only after colour conversion, too late for our own upsampling.
  if (count === 4 && components.some(({ h, v }) => h !== maxH || v !== maxV)) {
    throw unsupported(name, 'is CMYK with some planes smaller than others');
  }
  return { width, height, components, maxH, maxV, progressive };
}

function checkScan(body: Uint8Array, frame: JpegFrame, name: string): void {
  const count = body[0];
  if (count < 1 || count > 4 || body.length !== 4 + 2 * count) {
    throw corrupt(name, 'has a damaged scan header');
  }
  for (let i = 0; i < count; i++) {
    const id = body[1 + 2 * i];
    if (!frame.components.some((component) => component.id === id)) {
      throw corrupt(name, `has a scan of component ${id}, which its frame lacks`);
    }
  }
  const spectralStart = body[1 + 2 * count];
  const spectralEnd = body[2 + 2 * count];
  if (frame.progressive && (spectralStart > spectralEnd || spectralEnd > 63)) {
    throw corrupt(name, `has a scan of coefficients ${spectralStart} to ${spectralEnd}`);
  }
}

/** Whether the tables in a segment end exactly at its end. */
function tablesFillSegment(marker: number, body: Uint8Array): boolean {
  if (marker === DRI) return body.length === 2;
  let offset = 0;
  while (offset < body.length) {
    if (marker === DQT) {
      offset += 1 + (body[offset] >> 4 ? 128 : 64);
    } else {
      const codeCounts = body.subarray(offset + 1, offset + 17);
      offset += 17 + codeCounts.reduce((total, count) => total + count, 0);
    }
  }
  return offset === body.length;
}

function countBlocks({ width, height, components, maxH, maxV }: JpegFrame): number {
  let blocks = 0;
  for (const { h, v } of components) {
    blocks += Math.ceil((width * h) / maxH / 8) * Math.ceil((height * v) / maxV / 8);
  }
  return blocks;
}

/** Like libjpeg: JFIF means YCbCr; otherwise the Adobe marker decides, and without one the component ids. */
function colourOf(
  components: readonly JpegComponent[],
  sawJfif: boolean,
  adobeTransform?: number,
): JpegColour {
  if (components.length === 1) return 'grey';
  if (components.length === 4) return adobeTransform ? 'ycck' : 'cmyk';
  if (sawJfif) return 'ycc';
  if (adobeTransform !== undefined) return adobeTransform === 0 ? 'rgb' : 'ycc';
  return String.fromCharCode(...components.map(({ id }) => id)) === 'RGB' ? 'rgb' : 'ycc';
}

/** @param transform 0: the four planes are CMYK; 2: they are YCCK */
function adobeSegment(transform: number): Uint8Array {
  const text = [...'Adobe'].map((letter) => letter.charCodeAt(0));
  return Uint8Array.of(0xff, APP14, 0, 14, ...text, 0, 100, 0, 0, 0, 0, transform);
}

function startsWith(bytes: Uint8Array, text: string): boolean {
  return String.fromCharCode(...bytes.subarray(0, text.length)) === text;
}

function unsupported(name: string, what: string): ImageError {
  return new ImageError('IMAGE_UNSUPPORTED', `${name}: the JPEG ${what}`, { hint: 'convert it to PNG' });
}

function corrupt(name: string, what: string): ImageError {
  return new ImageError('IMAGE_CORRUPT', `${name}: the JPEG ${what}`, { hint: 'save the picture again' });
}
