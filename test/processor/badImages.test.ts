import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { M2Error } from '../../src/errors.ts';
import { checkRgbImage, decodeImage } from '../../src/processor/image/image.ts';
import { withCpuMs } from '../cpuTime.ts';
import { decodeInChild } from './decodeInChild.ts';
import { readFixture } from './fixtures.ts';
import { DHT, DQT, join, SOS, segmentsOf, withFrameBytes, without } from './jpegBytes.ts';
import { chunk, header, PNG_SIGNATURE, png, SMALL_BYTES, smallPng, zeros } from './pngBytes.ts';

const ascii = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'));
const end = chunk('IEND');
const pixels = zeros(SMALL_BYTES);
const jpeg = readFixture('420-45x37-q75').file;
const progressive = readFixture('420-progressive').file;

/** Expects an ImageError with that code and the picture's name in its message, within two seconds of work. */
async function refusalOf(file: Uint8Array, code: string): Promise<string> {
  const { value: error, cpuMs } = await withCpuMs(() =>
    decodeImage(file, 'cat.png').then(
      () => new Error('it was decoded'),
      (thrown) => thrown,
    ),
  );
  expect(error).toMatchObject({ name: 'ImageError', code });
  expect(error.message).toContain('cat.png');
  expect(cpuMs).toBeLessThan(2000);
  return error.message;
}

async function expectRefused(file: Uint8Array, code: string): Promise<void> {
  await refusalOf(file, code);
}

test('the valid files from which the bad ones are made', async () => {
  expect(await decodeImage(smallPng(), 'small')).toEqual({ width: 2, height: 2, data: new Uint8Array(12) });
  expect(join(segmentsOf(jpeg))).toEqual(Buffer.from(jpeg));
});

describe('neither PNG nor JPEG (I1)', () => {
  test('nothing', () => expectRefused(new Uint8Array(0), 'IMAGE_EMPTY'));
  test.each([
    ['PNG signature', PNG_SIGNATURE],
    ['half of it', PNG_SIGNATURE.subarray(0, 4)],
    ['half an IHDR', smallPng().subarray(0, 20)],
    ['JPEG signature', jpeg.subarray(0, 3)],
    ['SOI', jpeg.subarray(0, 2)],
  ])('%s', (_, file) => expectRefused(file, 'IMAGE_TRUNCATED'));

  test.each([
    ['GIF', ascii('GIF89a\x01\0\x01\0\0\0\0;')],
    ['WebP', ascii('RIFF\x20\0\0\0WEBPVP8 ')],
    ['HEIC', ascii('\0\0\0\x18ftypheic\0\0\0\0')],
    ['AVIF', ascii('\0\0\0\x18ftypavif\0\0\0\0')],
    ['BMP', ascii('BM\x46\0\0\0')],
    ['TIFF', ascii('II*\0\x08\0\0\0')],
    ['PDF', ascii('%PDF-1.7')],
    ['SVG', ascii('<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>')],
    ['HTML', ascii('\n<!DOCTYPE html><html></html>')],
    ['an unknown format', ascii('hello')],
  ])('%s is named', async (format, file) => {
    expect(await refusalOf(file, 'IMAGE_UNSUPPORTED')).toContain(format);
  });
});

describe('sizes that a header claims (I2, I7)', () => {
  test.each([
    [0, 10],
    [10, 0],
  ])('PNG %i x %i', (width, height) =>
    expectRefused(png(header({ width, height }), pixels, end), 'IMAGE_INVALID'),
  );

  test('JPEG 0 x 37', () => expectRefused(withFrameBytes(jpeg, 7, 0, 0), 'IMAGE_INVALID'));

  test('own limits', async () => {
    const error = { name: 'ImageError', code: 'IMAGE_TOO_LARGE' };
    await expect(decodeImage(smallPng(), 'cat', { maxPixels: 3 })).rejects.toMatchObject(error);
    await expect(decodeImage(smallPng(), 'cat', { maxSide: 1 })).rejects.toMatchObject(error);
    await expect(decodeImage(smallPng(), 'cat', { maxBytes: 60 })).rejects.toMatchObject(error);
    await expect(decodeImage(jpeg, 'cat', { maxPixels: 45 * 37 - 1 })).rejects.toMatchObject(error);
    await expect(decodeImage(jpeg, 'cat', { maxPixels: 45 * 37 })).resolves.toMatchObject({ width: 45 });
    const range = { name: 'InputError', code: 'INPUT_RANGE' };
    await expect(decodeImage(smallPng(), 'cat', { maxPixels: Number.NaN })).rejects.toMatchObject(range);
  });

  // In a child process: without the guard, the second of these aborts the process and the third takes 9 GB.
  test('dangerous files are refused immediately and take no memory', () => {
    const bomb = (size: number) => chunk('IDAT', deflateSync(new Uint8Array(size)));
    const largeSide = 2 ** 31 - 1;
    const files: [string, Uint8Array, string][] = [
      ['16384 x 16384', png(header({ width: 16384, height: 16384 }), pixels, end), 'IMAGE_TOO_LARGE'],
      ['2^31-1', png(header({ width: largeSide, height: largeSide }), pixels, end), 'IMAGE_TOO_LARGE'],
      ['30000 x 30000', png(header({ width: 30_000, height: 30_000 }), pixels, end), 'IMAGE_TOO_LARGE'],
      ['49 MP claimed', png(header({ width: 7000, height: 7000 }), pixels, end), 'IMAGE_CORRUPT'],
      [
        '49 MP claimed, interlaced',
        png(header({ width: 7000, height: 7000, interlace: 1 }), pixels, end),
        'IMAGE_CORRUPT',
      ],
      ['50 MB for 2 x 2', png(header(), bomb(50e6), end), 'IMAGE_CORRUPT'],
      [
        'zTXt of 50 MB',
        png(header(), chunk('zTXt', deflateSync(new Uint8Array(50e6))), pixels, end),
        'decoded',
      ],
      ['JPEG 65500 x 65500', withFrameBytes(jpeg, 5, 0xff, 0xdc, 0xff, 0xdc), 'IMAGE_TOO_LARGE'],
      ['JPEG 49 MP claimed', withFrameBytes(jpeg, 5, 0x1b, 0x58, 0x1b, 0x58), 'IMAGE_CORRUPT'],
    ];
    const results = decodeInChild(
      smallPng(),
      files.map(([, file]) => file),
      20_000,
    );
    for (const [i, [name, , outcome]] of files.entries()) {
      expect(results[i].outcome, name).toBe(outcome);
      expect(results[i].cpuMs, name).toBeLessThan(1000);
    }
    expect(results.reduce((total, { peakGrowthMb }) => total + peakGrowthMb, 0)).toBeLessThan(50);
  });
});

describe('damaged PNGs (I3, I5)', () => {
  const flipped = (file: Uint8Array, at: number) => file.map((byte, i) => (i === at ? byte ^ 1 : byte));
  const palette = header({ colourType: 3 });
  const indices = chunk('IDAT', deflateSync(Uint8Array.of(0, 0, 1, 0, 2, 3)));
  const hugeLength = smallPng();
  new DataView(hugeLength.buffer, hugeLength.byteOffset).setUint32(33, 0x7fffffff);
  test.each([
    ['IDAT is not zlib', png(header(), chunk('IDAT', ascii('not zlib at all')), end)],
    [
      'IDAT is cut',
      png(header(), chunk('IDAT', deflateSync(new Uint8Array(SMALL_BYTES)).subarray(0, 6)), end),
    ],
    ['too few pixels', png(header(), zeros(SMALL_BYTES - 1), end)],
    ['too many pixels', png(header(), zeros(SMALL_BYTES + 1), end)],
    ['no IDAT', png(header(), end)],
    ['an empty IDAT', png(header(), chunk('IDAT'), end)],
    ['wrong checksum of IHDR', flipped(smallPng(), 32)],
    ['wrong checksum of IDAT', flipped(smallPng(), 50)],
    ['no IEND', png(header(), pixels)],
    ['cut in half', smallPng().subarray(0, 45)],
    ['no PLTE', png(palette, indices, end)],
    ['PLTE behind the pixels', png(palette, indices, chunk('PLTE', new Uint8Array(12)), end)],
    ['PLTE of 4 bytes', png(palette, chunk('PLTE', new Uint8Array(4)), indices, end)],
    ['an index past PLTE', png(palette, chunk('PLTE', new Uint8Array(9)), indices, end)],
    ['two IHDR', png(header(), header(), pixels, end)],
    ['no IHDR', png(chunk('tEXt', new Uint8Array(20)), header(), pixels, end)],
    ['text between IDATs', png(header(), pixels, chunk('tEXt'), pixels, end)],
    ['3 bits', png(header({ depth: 3 }), pixels, end)],
    ['RGB of 4 bits', png(header({ depth: 4 }), pixels, end)],
    ['colour type 5', png(header({ colourType: 5 }), pixels, end)],
    ['interlace 2', png(header({ interlace: 2 }), pixels, end)],
    [
      'scanline filter 5',
      png(header(), chunk('IDAT', deflateSync(new Uint8Array(SMALL_BYTES).fill(5))), end),
    ],
    ['a chunk of 2^31-1 bytes', hugeLength],
    ['a chunk named by no letters', png(header(), chunk('\0\0\0\0'), pixels, end)],
  ])('%s', (_, file) => expectRefused(file, 'IMAGE_CORRUPT'));

  test('an unknown critical chunk is named', async () => {
    expect(await refusalOf(png(chunk('CgBI'), header(), pixels, end), 'IMAGE_UNSUPPORTED')).toContain('CgBI');
  });

  test('a million chunks', async () => {
    const file = Buffer.concat([png(header()), Buffer.alloc(12e6, chunk('tEXt')), pixels, end]);
    const { value: image, cpuMs } = await withCpuMs(() => decodeImage(file, 'cat'));
    expect(image.width).toBe(2);
    expect(cpuMs).toBeLessThan(5000);
  });

  test('bytes after IEND are ignored, as in Pillow', async () => {
    expect((await decodeImage(png(header(), pixels, end, ascii('tail')), 'cat')).width).toBe(2);
  });
});

describe('damaged JPEGs (I6)', () => {
  const middle = Math.floor(jpeg.length * 0.8);
  const withoutEnd = jpeg.subarray(0, -2);
  test.each([
    ['cut', jpeg.subarray(0, middle)],
    ['cut, progressive', progressive.subarray(0, Math.floor(progressive.length * 0.8))],
    ['corrupted in the middle', jpeg.map((byte, i) => (i > middle && i < middle + 40 ? 0xff : byte))],
    ['only its header', without(jpeg, SOS)],
    ['only SOI and APP0', jpeg.subarray(0, 20)],
    ['cut inside a segment', jpeg.subarray(0, 30)],
  ])('%s', (_, file) => expectRefused(file, 'IMAGE_CORRUPT'));

  test('no SOI', () => expectRefused(jpeg.subarray(2), 'IMAGE_UNSUPPORTED'));

  test.each([
    ['no EOI', withoutEnd],
    ['garbage behind EOI', Buffer.concat([jpeg, ascii('\xff\xc0 garbage')])],
    [
      'fill bytes before a marker',
      Buffer.concat([jpeg.subarray(0, 2), Uint8Array.of(0xff, 0xff), jpeg.subarray(2)]),
    ],
  ])('%s is accepted', async (_, file) => {
    const expected = await decodeImage(jpeg, 'whole');
    expect((await decodeImage(file, 'cat')).data).toEqual(expected.data);
  });
});

describe('unsupported JPEGs (I8, I9)', () => {
  const segments = segmentsOf(progressive);
  const scan = segments.find(({ marker }) => marker === SOS) as (typeof segments)[number];
  const manyScans = join([
    ...segments.slice(0, -1),
    ...new Array(80_000).fill(scan),
    segments[segments.length - 1],
  ]);
  const twoComponents = join([
    { marker: 0xc0, bytes: Uint8Array.of(0xff, 0xc0, 0, 14, 8, 0, 8, 0, 8, 2, 1, 0x11, 0, 2, 0x11, 0) },
    ...segmentsOf(jpeg).slice(-2),
  ]);
  test.each([
    ['arithmetic coding', withFrameBytes(jpeg, 1, 0xc9)],
    ['lossless', withFrameBytes(jpeg, 1, 0xc3)],
    ['12 bits', withFrameBytes(jpeg, 4, 12)],
    ['80,000 scans', manyScans],
    ['sampling 4x4', withFrameBytes(jpeg, 11, 0x44)],
    ['sampling 3x1', withFrameBytes(jpeg, 11, 0x31)],
    ['sampling 0x0', withFrameBytes(jpeg, 11, 0)],
    ['a height of 0 (DNL)', withFrameBytes(jpeg, 5, 0, 0)],
    ['two components', twoComponents],
    ['CMYK with smaller planes', withFrameBytes(readFixture('cmyk').file, 11, 0x22)],
  ])('%s', (_, file) => expectRefused(file, 'IMAGE_UNSUPPORTED'));

  test.each([
    ['no DHT', without(jpeg, DHT)],
    ['no DQT', without(jpeg, DQT)],
    ['no frame', without(jpeg, 0xc0)],
    ['two frames', join(segmentsOf(jpeg).flatMap((one) => (one.marker === 0xc0 ? [one, one] : [one])))],
    ['five components', withFrameBytes(jpeg, 9, 5)],
    ['one component twice', withFrameBytes(jpeg, 13, 1)],
    ['a scan of an unknown component', withFrameBytes(jpeg, 10, 99)],
  ])('%s', (_, file) => expectRefused(file, 'IMAGE_CORRUPT'));
});

describe('for any bytes, the error is ours', () => {
  for (const name of [
    'colour6-16bit-interlaced',
    'colour3-4bit',
    '420-45x37-q75',
    '420-progressive',
    'ycck',
  ]) {
    const { file, width, height } = readFixture(name);
    const edits = fc.array(fc.tuple(fc.nat(file.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
    test(name, async () => {
      await fc.assert(
        fc.asyncProperty(edits, fc.integer({ min: 3, max: file.length }), async (changes, length) => {
          const damaged = file.slice(0, length % 4 === 0 ? length : file.length);
          for (const [at, byte] of changes) if (at < damaged.length) damaged[at] = byte;
          try {
            const image = await decodeImage(damaged, 'cat', { maxPixels: 4 * width * height });
            expect(image.data.length).toBe(image.width * image.height * 3);
          } catch (error) {
            expect(error).toBeInstanceOf(M2Error);
          }
        }),
        { numRuns: 150, seed: 5 },
      );
    });
  }
});

describe('raw pixels (I13)', () => {
  const good = { width: 3, height: 2, data: new Uint8Array(18) };
  test('valid ones pass', () => {
    expect(checkRgbImage(good, 'image')).toEqual(good);
  });

  const detached = new Uint8Array(18);
  structuredClone(detached.buffer, { transfer: [detached.buffer] });
  test.each([
    ['no object', 7, 'INPUT_TYPE'],
    ['null', null, 'INPUT_TYPE'],
    ['no width', { ...good, width: undefined }, 'INPUT_TYPE'],
    ['a width of 0', { ...good, width: 0 }, 'INPUT_TYPE'],
    ['a width of 1.5', { ...good, width: 1.5 }, 'INPUT_TYPE'],
    ['Uint16', { ...good, data: new Uint16Array(18) }, 'INPUT_TYPE'],
    ['NaN floats', { ...good, data: new Float32Array(18).fill(Number.NaN) }, 'INPUT_TYPE'],
    ['an array', { ...good, data: new Array(18).fill(0) }, 'INPUT_TYPE'],
    ['shared memory', { ...good, data: new Uint8Array(new SharedArrayBuffer(18)) }, 'INPUT_TYPE'],
    ['RGBA', { ...good, data: new Uint8Array(24) }, 'INPUT_LENGTH'],
    ['one byte short', { ...good, data: new Uint8Array(17) }, 'INPUT_LENGTH'],
    ['a detached buffer', { ...good, data: detached }, 'INPUT_LENGTH'],
  ])('%s', (_, image, code) => {
    const error = { name: 'InputError', code, message: expect.stringContaining('messages[0].image') };
    expect(() => checkRgbImage(image, 'messages[0].image')).toThrow(expect.objectContaining(error));
  });
});
