import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { applyOrientation, exifOrientation, type Orientation } from '../../src/processor/image/exif.ts';
import { decodeImage } from '../../src/processor/image/image.ts';
import { DEFAULT_IMAGE_PROCESSOR } from '../../src/processor/image/imageProcessorConfig.ts';
import { loadImage } from '../../src/processor/image/imageSource.ts';
import type { RgbImage } from '../../src/processor/image/rgbImage.ts';
import { Processor } from '../../src/processor/processor.ts';
import { checkMessages } from '../../src/processor/text/checkMessages.ts';
import { type ImagePart, imagesOf } from '../../src/processor/text/messages.ts';
import { withCpuMs } from '../cpuTime.ts';
import { goldenTokenizer, thrownBy } from '../processor-text/helpers.ts';
import { goldens, readTensors } from '../readTensors.ts';
import { readFixture } from './fixtures.ts';

/** The result of Pillow 11.3's `ImageOps.exif_transpose` for the rows abc and def. */
const PILLOW: readonly [Orientation, string[]][] = [
  [1, ['abc', 'def']],
  [2, ['cba', 'fed']],
  [3, ['fed', 'cba']],
  [4, ['def', 'abc']],
  [5, ['ad', 'be', 'cf']],
  [6, ['da', 'eb', 'fc']],
  [7, ['fc', 'eb', 'da']],
  [8, ['cf', 'be', 'ad']],
];
const ORIENTATION = 0x0112;
const SHORT = 3;
const LONG = 4;
const HUGE = 2 ** 32 - 1;
/** A file of 1 MB needs a hundredth of this if each byte is read once. */
const MAX_CPU_MS = 2000;

const exif6Path = `${goldens}images/exif6-110x70.jpg`;
const exif6 = new Uint8Array(readFileSync(exif6Path));
const { file: plainJpeg } = readFixture('420-45x37-q75');

interface Entry {
  readonly tag?: number;
  readonly type?: number;
  readonly count?: number;
  readonly value: number;
}
interface TiffOptions {
  readonly isLittle?: boolean;
  /** The offset of the first directory according to the header. */
  readonly directory?: number;
  /** The number of entries according to the directory. */
  readonly entryCount?: number;
  readonly next?: number;
}

/** A header and, at byte 8, a directory of `entries`. */
function tiff(entries: readonly Entry[], options: TiffOptions = {}): Uint8Array {
  const { isLittle = false, directory = 8, entryCount = entries.length, next = 0 } = options;
  const bytes = new Uint8Array(8 + 2 + entries.length * 12 + 4);
  const view = new DataView(bytes.buffer);
  bytes.set(Buffer.from(isLittle ? 'II*\0' : 'MM\0*', 'latin1'));
  view.setUint32(4, directory, isLittle);
  view.setUint16(8, entryCount, isLittle);
  for (const [i, { tag = ORIENTATION, type = SHORT, count = 1, value }] of entries.entries()) {
    const at = 10 + i * 12;
    view.setUint16(at, tag, isLittle);
    view.setUint16(at + 2, type, isLittle);
    view.setUint32(at + 4, count, isLittle);
    if (type === SHORT) view.setUint16(at + 8, value, isLittle);
    else view.setUint32(at + 8, value, isLittle);
  }
  view.setUint32(bytes.length - 4, next, isLittle);
  return bytes;
}

function segment(marker: number, body: Uint8Array, lengthBytes = body.length + 2): Uint8Array {
  return Buffer.concat([Uint8Array.of(0xff, marker, lengthBytes >> 8, lengthBytes & 255), body]);
}

function exifSegment(body: Uint8Array, lengthBytes?: number): Uint8Array {
  const named = Buffer.concat([Buffer.from('Exif\0\0'), body]);
  return segment(0xe1, named, lengthBytes);
}

/** A valid JPEG with segments inserted after its SOI. */
function withSegments(...segments: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat([plainJpeg.subarray(0, 2), ...segments, plainJpeg.subarray(2)]);
}

function withTiff(body: Uint8Array): Uint8Array {
  return withSegments(exifSegment(body));
}

/** Letters as pixels, with different channels. */
function pictureOf(rows: readonly string[]): RgbImage {
  const letters = [...rows.join('')].map((letter) => letter.charCodeAt(0));
  const data = Uint8Array.from(letters.flatMap((code) => [code, code - 50, code + 50]));
  return { width: rows[0].length, height: rows.length, data };
}

describe('applyOrientation', () => {
  test.each(PILLOW)('%i equals Pillow', (orientation, rows) => {
    const stored = pictureOf(['abc', 'def']);
    expect(applyOrientation(stored, orientation)).toEqual(pictureOf(rows));
    expect(stored).toEqual(pictureOf(['abc', 'def']));
  });
  test.each(PILLOW)('%i of one row and of one pixel', (orientation) => {
    const row = applyOrientation(pictureOf(['abc']), orientation);
    const isBackwards = [2, 3, 7, 8].includes(orientation);
    const letters = isBackwards ? 'cba' : 'abc';
    expect(row).toEqual(pictureOf(orientation < 5 ? [letters] : [...letters]));
    expect(applyOrientation(pictureOf(['a']), orientation)).toEqual(pictureOf(['a']));
  });
});

describe('exifOrientation', () => {
  for (const [orientation] of PILLOW) {
    for (const [order, isLittle] of [
      ['II', true],
      ['MM', false],
    ] as const) {
      test(`${orientation}, ${order}, 16 and 32 bits`, () => {
        for (const type of [SHORT, LONG]) {
          const file = withTiff(tiff([{ type, value: orientation }], { isLittle }));
          expect(exifOrientation(file)).toBe(orientation);
        }
      });
    }
  }

  test('a file that Pillow wrote', () => expect(exifOrientation(exif6)).toBe(6));
  test('after other entries', () => {
    const others = [0x010f, 0x0110, 0x0111].map((tag) => ({ tag, type: 2, count: 99, value: HUGE }));
    expect(exifOrientation(withTiff(tiff([...others, { value: 8 }, { tag: 0x8769, value: 9 }])))).toBe(8);
  });
  test('a directory that does not follow its header', () => {
    const moved = Buffer.concat([tiff([], { directory: 22 }), tiff([{ value: 5 }]).subarray(8)]);
    moved.writeUInt32BE(14, 4);
    expect(exifOrientation(withTiff(moved))).toBe(5);
  });
  test('after other segments, including XMP, and fill bytes', () => {
    const xmp = segment(0xe1, Buffer.from('http://ns.adobe.com/xap/1.0/\0<x/>'));
    const file = withSegments(xmp, Uint8Array.of(0xff, 0xff), exifSegment(tiff([{ value: 3 }])));
    expect(exifOrientation(file)).toBe(3);
  });
  test('a view into a larger buffer', () => {
    const larger = Buffer.concat([Buffer.alloc(7, 0xff), exif6, Buffer.alloc(7)]);
    expect(exifOrientation(larger.subarray(7, 7 + exif6.length))).toBe(6);
  });
  test('of two entries the last that is a number counts', () => {
    expect(exifOrientation(withTiff(tiff([{ value: 6 }, { value: 3 }, { type: 2, value: 8 }])))).toBe(3);
    expect(exifOrientation(withTiff(tiff([{ value: 6 }, { value: 9 }])))).toBe(1);
  });
  test('an entry before the directory is cut off', () => {
    expect(exifOrientation(withTiff(tiff([{ value: 6 }], { entryCount: 65_535 })))).toBe(6);
  });
  test('of two EXIF segments the first counts', () => {
    const [first, second] = [6, 3].map((value) => exifSegment(tiff([{ value }])));
    expect(exifOrientation(withSegments(first, second))).toBe(6);
  });
});

describe('missing or malformed EXIF gives 1 immediately', () => {
  const good = tiff([{ value: 6 }]);
  const cases: [string, Uint8Array][] = [
    ['no EXIF', plainJpeg],
    ['a PNG', readFixture('colour2-8bit').file],
    ['no bytes', new Uint8Array()],
    ['SOI alone', Uint8Array.of(0xff, 0xd8)],
    ['EXIF behind the pixels', Buffer.concat([plainJpeg.subarray(0, -2), exifSegment(good)])],
    ['an empty segment', withTiff(new Uint8Array())],
    ['no directory', withTiff(good.subarray(0, 8))],
    ['half a header', withTiff(good.subarray(0, 5))],
    ['another byte order', withTiff(Buffer.concat([Buffer.from('MI\0*'), good.subarray(4)]))],
    ['BigTIFF', withTiff(Buffer.concat([Buffer.from('MM\0+'), good.subarray(4)]))],
    ['a directory that is its own next', withTiff(tiff([{ tag: 1, value: 6 }], { next: 8 }))],
    ['a sub-directory that is the directory', withTiff(tiff([{ tag: 0x8769, type: LONG, value: 8 }]))],
    ['a directory in the header', withTiff(tiff([{ value: 6 }], { directory: 0 }))],
    ['a directory at 2^32 - 1', withTiff(tiff([{ value: 6 }], { directory: HUGE }))],
    ['a directory at 2^31', withTiff(tiff([{ value: 6 }], { directory: 2 ** 31 }))],
    ['a directory at the last byte', withTiff(tiff([{ value: 6 }], { directory: good.length - 1 }))],
    ['a directory of nothing', withTiff(tiff([{ value: 6 }], { entryCount: 0 }))],
    ['65,535 entries of two', withTiff(tiff([{ tag: 1, value: 6 }], { entryCount: 65_535 }))],
    ['half an entry', withTiff(good.subarray(0, 21))],
    ['a count of 0', withTiff(tiff([{ count: 0, value: 6 }]))],
    ['a count of 2', withTiff(tiff([{ count: 2, value: 6 }]))],
    ['a count of 2^32 - 1', withTiff(tiff([{ count: HUGE, value: 6 }]))],
    ['a value of 0', withTiff(tiff([{ value: 0 }]))],
    ['a value of 9', withTiff(tiff([{ value: 9 }]))],
    ['a value of 2^32 - 1', withTiff(tiff([{ type: LONG, value: HUGE }]))],
    ...[0, 1, 2, 5, 7, 10, 11, 12, 13, 65_535].map((type): [string, Uint8Array] => [
      `type ${type}`,
      withTiff(tiff([{ type, value: 0x06000006 }])),
    ]),
    ['a segment of length 0', withSegments(exifSegment(good, 0))],
    ['a segment that ends before its name', withSegments(exifSegment(good, 6))],
    ['a segment past the end', withSegments(exifSegment(good, 65_535)).subarray(0, 400)],
    ['200,000 empty segments', withSegments(Buffer.alloc(800_000, segment(0xe1, new Uint8Array())))],
    ['64 KB of other entries', withTiff(tiff(Array(5_000).fill({ tag: 1, value: 6 })))],
  ];
  test.each(cases)('%s', async (_, file) => {
    const { value, cpuMs } = await withCpuMs(() => exifOrientation(file));
    expect(value).toBe(1);
    expect(cpuMs).toBeLessThan(MAX_CPU_MS);
  });

  test('the file truncated anywhere', () => {
    const file = withTiff(good);
    const entryEnd = 2 + 4 + 6 + good.length;
    for (let length = 0; length < file.length; length++) {
      expect(exifOrientation(file.subarray(0, length)), `${length} bytes`).toBe(length < entryEnd ? 1 : 6);
    }
  });

  test('any bytes', () => {
    const isOrientation = (file: Uint8Array) => PILLOW.some(([value]) => value === exifOrientation(file));
    const edits = fc.array(fc.tuple(fc.nat(exif6.indexOf(0xdb)), fc.nat(255)), {
      minLength: 1,
      maxLength: 8,
    });
    const damaged = edits.map((changes) => {
      const file = exif6.slice();
      for (const [at, byte] of changes) file[at] = byte;
      return file;
    });
    const behindName = fc.uint8Array({ maxLength: 300 }).map(withTiff);
    const directory = fc
      .tuple(fc.boolean(), fc.uint8Array({ maxLength: 300 }))
      .map(([isLittle, noise]) => withTiff(Buffer.concat([tiff([], { isLittle }).subarray(0, 8), noise])));
    const bytes = fc.uint8Array({ maxLength: 300 });
    const files = fc.oneof(damaged, behindName, directory, bytes);
    fc.assert(fc.property(files, isOrientation), { numRuns: 800, seed: 10 });
  });
});

describe('the option of an image part', () => {
  const stored = readTensors(`${goldens}preprocess/08-exif6-110x70.safetensors`).get('decoded_rgb');
  const tokenizer = goldenTokenizer();
  const imagePatchToken = tokenizer.tokenId('<imagePatch>') as number;
  const processor = new Processor(tokenizer, DEFAULT_IMAGE_PROCESSOR, imagePatchToken);

  async function prepared(part: object) {
    const { images } = await processor.prepare([
      { role: 'user', content: [{ type: 'image', image: exif6, ...part } as ImagePart] },
    ]);
    return images;
  }

  test('by default, and with ignore, the golden is not turned', async () => {
    const plain = await loadImage(exif6, 'image');
    expect([plain.height, plain.width, 3]).toEqual(stored?.shape);
    expect(await loadImage(exif6, 'image', { exifOrientation: 'ignore' })).toEqual(plain);
    const [byDefault] = await prepared({});
    const [ignored] = await prepared({ exifOrientation: 'ignore' });
    expect(byDefault.gridThw).toEqual([1, 4, 8]);
    expect(ignored).toEqual(byDefault);
  });

  test('apply turns the golden a quarter to the right, from any source', async () => {
    const plain = await loadImage(exif6, 'image');
    const url = `data:image/jpeg;base64,${Buffer.from(exif6).toString('base64')}`;
    for (const source of [exif6, exif6Path, url]) {
      const turned = await loadImage(source, 'image', { exifOrientation: 'apply' });
      expect([turned.width, turned.height]).toEqual([70, 110]);
      expect(turned.name).toContain('image');
      for (let y = 0; y < 110; y++) {
        for (let x = 0; x < 70; x++) {
          const at = ((70 - 1 - x) * 110 + y) * 3;
          const pixel = turned.data.subarray((y * 70 + x) * 3, (y * 70 + x) * 3 + 3);
          expect([...pixel]).toEqual([...plain.data.subarray(at, at + 3)]);
        }
      }
    }
  });

  test('apply comes before the first resize', async () => {
    const [turned] = await prepared({ exifOrientation: 'apply' });
    expect(turned.gridThw).toEqual([1, 8, 4]);
    const upright = await loadImage(exif6, 'image', { exifOrientation: 'apply' });
    const [expected] = await prepared({ image: upright });
    expect(turned).toEqual(expected);
  });

  test('apply affects the images of a list', async () => {
    const images = await prepared({ image: [exif6, exif6], exif_orientation: 'apply' });
    expect(images.map(({ gridThw }) => gridThw)).toEqual([
      [1, 8, 4],
      [1, 8, 4],
    ]);
  });

  test('apply does not change images without EXIF: a PNG, pixels, a JPEG with malformed EXIF', async () => {
    const png = readFixture('colour2-8bit').file;
    const pixels = pictureOf(['abc', 'def']);
    const broken = withTiff(tiff([{ count: HUGE, value: 6 }], { next: 8 }));
    for (const source of [png, pixels, broken]) {
      const plain = await loadImage(source, 'image');
      expect(await loadImage(source, 'image', { exifOrientation: 'apply' })).toEqual(plain);
    }
  });

  test('the limits also hold for a turned image', async () => {
    const options = { exifOrientation: 'apply', limits: { maxSide: 109 } } as const;
    await expect(loadImage(exif6, 'cat', options)).rejects.toMatchObject({ code: 'IMAGE_TOO_LARGE' });
    await expect(decodeImage(exif6, 'cat', { maxSide: 110 })).resolves.toMatchObject({ width: 110 });
  });

  function partOf(options: object): ImagePart {
    const part = { type: 'image', image: 'a', ...options };
    const [{ part: checked }] = imagesOf(checkMessages([{ role: 'user', content: [part] }]));
    if (checked.type !== 'image') throw new Error('the part is no image part any more');
    return checked;
  }

  test('both spellings; null and undefined are dropped', () => {
    for (const value of ['ignore', 'apply']) {
      expect(partOf({ exifOrientation: value }).exifOrientation).toBe(value);
      expect(partOf({ exif_orientation: value }).exifOrientation).toBe(value);
    }
    expect(partOf({ exif_orientation: null })).toStrictEqual({ type: 'image', image: 'a' });
    expect(partOf({})).toStrictEqual({ type: 'image', image: 'a' });
  });

  test.each([['rotate'], ['Apply'], [''], [6], [true], [['apply']], [{}]])('%j is refused', (value) => {
    for (const spelling of ['exifOrientation', 'exif_orientation']) {
      const error = thrownBy(() => partOf({ [spelling]: value }));
      const field = `messages[0].content[0].${spelling}`;
      expect([error.code, error.details.field]).toEqual(['INPUT_RANGE', field]);
    }
  });
});
