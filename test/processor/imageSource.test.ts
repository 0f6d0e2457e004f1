import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ImageSource, loadImage } from '../../src/processor/image/imageSource.ts';
import { readFixture } from './fixtures.ts';

const FIELD = 'messages[0].content[0].image';
const { file, rgb } = readFixture('colour2-8bit');
const base64 = Buffer.from(file).toString('base64');

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'm2-sources-'));
  writeFileSync(join(folder, 'cat 1.jpg'), file); // a PNG, whatever its ending says
  writeFileSync(join(folder, 'empty.png'), '');
  writeFileSync(join(folder, 'large.png'), '');
  truncateSync(join(folder, 'large.png'), 2 ** 40); // takes no space, and could never be read
  mkdirSync(join(folder, 'folder.png'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function expectRefused(source: unknown, code: string, name = 'ImageError'): Promise<void> {
  const error = { name, code, message: expect.stringContaining(FIELD) };
  await expect(loadImage(source as ImageSource, FIELD)).rejects.toMatchObject(error);
}

describe('sources of images', () => {
  const sources: [string, () => ImageSource][] = [
    ['a path', () => join(folder, 'cat 1.jpg')],
    ['a file URL', () => pathToFileURL(join(folder, 'cat 1.jpg')).href],
    ['a data URL', () => `data:image/png;base64,${base64}`],
    ['a data URL of another type', () => `DATA:image/jpeg;BASE64,${base64}`],
    ['bytes', () => file],
    ['a view into a larger buffer', () => Buffer.concat([Buffer.alloc(5), file]).subarray(5)],
    ['pixels', () => ({ width: 16, height: 11, data: rgb })],
  ];
  test.each(sources)('%s', async (_, source) => {
    const image = await loadImage(source(), FIELD);
    expect([image.width, image.height]).toEqual([16, 11]);
    expect(Buffer.compare(image.data, rgb)).toBe(0);
    expect(image.name).toContain(FIELD);
  });
});

describe('files', () => {
  test('missing', () => expectRefused(join(folder, 'none.png'), 'IMAGE_NOT_FOUND'));
  test('missing, as a URL', () => expectRefused('file:///none.png', 'IMAGE_NOT_FOUND'));
  test('a URL of another host', () => expectRefused('file://host/none.png', 'IMAGE_NOT_FOUND'));
  test('a folder', () => expectRefused(join(folder, 'folder.png'), 'IMAGE_NOT_FOUND'));
  test('a path with a zero byte', () => expectRefused('cat\0.png', 'IMAGE_NOT_FOUND'));
  test('a device', () => expectRefused('/dev/zero', 'IMAGE_NOT_FOUND'));
  test('empty', () => expectRefused(join(folder, 'empty.png'), 'IMAGE_EMPTY'));
  test('over the limit', () => expectRefused(join(folder, 'large.png'), 'IMAGE_TOO_LARGE'));
  if (process.platform !== 'win32') {
    test('a pipe without a writer', async () => {
      execFileSync('mkfifo', [join(folder, 'pipe.png')]);
      await expectRefused(join(folder, 'pipe.png'), 'IMAGE_NOT_FOUND');
    });
  }
  test('no path', () => expectRefused('', 'INPUT_EMPTY', 'InputError'));
});

describe('URLs', () => {
  test.each(['http://example.org/cat.png', 'HTTPS://example.org/cat.png', 'ftp://example.org/cat.png'])(
    '%s',
    (url) => expectRefused(url, 'IMAGE_UNSUPPORTED'),
  );
});

describe('data URLs (I14)', () => {
  test.each([
    ['no base64', `data:image/png,${base64}`],
    ['no comma', 'data:image/png;base64'],
    ['a broken alphabet', 'data:image/png;base64,iVBO*w0KGgo='],
    ['a video', `data:video/jpeg;base64,${base64}`],
    ['text', 'data:text/plain;base64,aGVsbG8='],
  ])('%s', (_, url) => expectRefused(url, 'IMAGE_DATA_URL'));

  test('nothing inside', () => expectRefused('data:image/png;base64,', 'IMAGE_EMPTY'));
  test('text inside', () => expectRefused('data:image/png;base64,aGVsbG8=', 'IMAGE_UNSUPPORTED'));
  test('100 MB', () => expectRefused(`data:image/png;base64,${'A'.repeat(134e6)}`, 'IMAGE_TOO_LARGE'));
});

test('other things', async () => {
  await expectRefused(undefined, 'INPUT_TYPE', 'InputError');
  await expectRefused(42, 'INPUT_TYPE', 'InputError');
  await expectRefused(new Float32Array(3), 'INPUT_TYPE', 'InputError');
  await expectRefused({ width: 2, height: 2, data: new Uint8Array(3) }, 'INPUT_LENGTH', 'InputError');
});
