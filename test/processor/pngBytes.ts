import { deflateSync } from 'node:zlib';

export const PNG_SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? 0xedb88320 ^ (crc >>> 1) : crc >>> 1;
  }
  return ~crc >>> 0;
}

export function chunk(type: string, body: Uint8Array = new Uint8Array(0)): Uint8Array {
  const bytes = new Uint8Array(12 + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, body.length);
  bytes.set(Buffer.from(type, 'latin1'), 4);
  bytes.set(body, 8);
  view.setUint32(8 + body.length, crc32(bytes.subarray(4, 8 + body.length)));
  return bytes;
}

export interface HeaderFields {
  readonly width?: number;
  readonly height?: number;
  readonly depth?: number;
  readonly colourType?: number;
  readonly interlace?: number;
}

export function header(fields: HeaderFields = {}): Uint8Array {
  const { width = 2, height = 2, depth = 8, colourType = 2, interlace = 0 } = fields;
  const body = new Uint8Array(13);
  const view = new DataView(body.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  body.set([depth, colourType, 0, 0, interlace], 8);
  return chunk('IHDR', body);
}

/** An IDAT with the given number of zeros. */
export function zeros(inflatedBytes: number): Uint8Array {
  return chunk('IDAT', deflateSync(new Uint8Array(inflatedBytes)));
}

/** Scanlines of a 2 x 2 RGB picture: a filter byte and six samples each. */
export const SMALL_BYTES = 2 * (1 + 2 * 3);

export function png(...chunks: Uint8Array[]): Uint8Array {
  return Buffer.concat([PNG_SIGNATURE, ...chunks]);
}

export function smallPng(): Uint8Array {
  return png(header(), zeros(SMALL_BYTES), chunk('IEND'));
}
