/** Edits segments of valid JPEG files. */

export const SOF = [0xc0, 0xc1, 0xc2];
export const DHT = 0xc4;
export const SOS = 0xda;
export const DQT = 0xdb;

export interface Segment {
  readonly marker: number;
  /** Marker, length and body; for SOS also the coded data. */
  readonly bytes: Uint8Array;
}

/** Splits a well-formed file after its SOI; EOI is the last segment. */
export function segmentsOf(file: Uint8Array): Segment[] {
  const segments: Segment[] = [];
  let start = 2;
  while (start < file.length) {
    const marker = file[start + 1];
    let end = marker === 0xd9 ? start + 2 : start + 2 + file[start + 2] * 256 + file[start + 3];
    while (marker === SOS && !(file[end] === 0xff && file[end + 1] !== 0 && (file[end + 1] & 0xf8) !== 0xd0))
      end++;
    segments.push({ marker, bytes: file.slice(start, end) });
    start = end;
  }
  return segments;
}

export function join(segments: readonly Segment[]): Uint8Array {
  return Buffer.concat([Uint8Array.of(0xff, 0xd8), ...segments.map(({ bytes }) => bytes)]);
}

/** The file with some bytes of its frame header changed: `at` counts from the marker's ff. */
export function withFrameBytes(file: Uint8Array, at: number, ...values: number[]): Uint8Array {
  const segments = segmentsOf(file);
  segments.find(({ marker }) => SOF.includes(marker))?.bytes.set(values, at);
  return join(segments);
}

export function without(file: Uint8Array, unwanted: number): Uint8Array {
  return join(segmentsOf(file).filter(({ marker }) => marker !== unwanted));
}
