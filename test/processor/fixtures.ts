import { inflateSync } from 'node:zlib';
import { readJson } from '../readTensors.ts';

/** The small images of `test/fixtures/images/makeImages.py`. */
export interface Fixture {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  readonly file: Uint8Array;
  /** Pillow's result for `file`: [height, width, 3] */
  readonly rgb: Uint8Array;
}

const folder = new URL('../fixtures/images/', import.meta.url).pathname;

interface StoredImage {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  readonly file: string;
  readonly rgb_deflated: string;
}

export function readFixtures(): Fixture[] {
  return readJson(`${folder}images.json`).rows.map((row: StoredImage) => ({
    name: row.name,
    width: row.width,
    height: row.height,
    file: new Uint8Array(Buffer.from(row.file, 'base64')),
    rgb: new Uint8Array(inflateSync(Buffer.from(row.rgb_deflated, 'base64'))),
  }));
}

export function readFixture(name: string): Fixture {
  const fixture = readFixtures().find((one) => one.name === name);
  if (!fixture) throw new Error(`no fixture ${name}`);
  return fixture;
}

/** [width, height, new width, new height, SHA-256 of Pillow's result] */
export type ResizeRow = [number, number, number, number, string];

export function readResizes(): ResizeRow[] {
  return readJson(`${folder}resizes.json`).rows;
}

/** The pixels that `makeImages.py` resizes. */
export function noise(width: number, height: number): Uint8Array {
  const pixels = new Uint8Array(height * width * 3);
  let state = 1;
  for (let i = 0; i < pixels.length; i++) {
    state = (Math.imul(1664525, state) + 1013904223) >>> 0;
    pixels[i] = state >>> 24;
  }
  return pixels;
}

/** The largest difference of two images in levels, and its place. */
export function compareLevels(actual: Uint8Array, expected: Uint8Array) {
  if (actual.length !== expected.length)
    throw new Error(`${actual.length} samples, expected ${expected.length}`);
  let max = 0;
  let worstIndex = 0;
  let total = 0;
  for (let i = 0; i < actual.length; i++) {
    const difference = Math.abs(actual[i] - expected[i]);
    total += difference;
    if (difference > max) {
      max = difference;
      worstIndex = i;
    }
  }
  return { max, mean: total / actual.length, worstIndex };
}
