import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { readAll } from '../../src/model/checkpoint/byteSource.ts';
import { folderFiles } from '../../src/model/checkpoint/checkpointFolder.node.ts';
import { readModelConfig } from '../../src/model/checkpoint/config.ts';
import { expectCode } from './helpers.ts';

const scratch = mkdtempSync(join(tmpdir(), 'm2-folder-'));
afterAll(() => rmSync(scratch, { recursive: true }));

const NAME = 'model.safetensors';
let folderCount = 0;
function newFolder(...parts: string[]): string {
  const folder = join(scratch, String(folderCount++), ...parts);
  mkdirSync(folder, { recursive: true });
  return folder;
}

function folderWith(content: string): string {
  const folder = newFolder();
  writeFileSync(join(folder, NAME), content);
  return folder;
}

async function openFile(folder: string) {
  const source = await folderFiles(folder).open(NAME);
  if (source === null) throw new Error('the file should be there');
  return source;
}

test('reads ranges, and gives null for missing files', async () => {
  const folder = folderWith('0123456789');
  const source = await openFile(folder);
  const target = new Uint8Array(4);
  await source.readInto(3, target);
  expect(new TextDecoder().decode(target)).toBe('3456');
  expect(source).toMatchObject({ name: NAME, sizeBytes: 10 });
  expect(await folderFiles(folder).open('other')).toBeNull();
  await source.close();
  await source.close();
  expect((await expectCode('CKPT_READ', () => source.readInto(0, target))).cause).toBeInstanceOf(Error);
});

test.for(['../secret', '/etc/passwd', 'a/b', '..', 'a\0b'])('C1: %j is refused', async (fileName) => {
  await expectCode('CKPT_PATH_UNSAFE', () => folderFiles(newFolder()).open(fileName));
});

test('C3: a link out of the folder is refused, one into its own cache is followed', async () => {
  const outside = join(folderWith('secret'), NAME);
  const folder = newFolder();
  symlinkSync(outside, join(folder, NAME));
  await expectCode('CKPT_PATH_UNSAFE', () => folderFiles(folder).open(NAME));

  const repository = newFolder('models--org--name');
  const snapshot = join(repository, 'snapshots', 'abc123');
  for (const part of [snapshot, join(repository, 'blobs')]) mkdirSync(part, { recursive: true });
  writeFileSync(join(repository, 'blobs', '0a1b'), 'blob');
  symlinkSync('../../blobs/0a1b', join(snapshot, NAME));
  const source = await openFile(snapshot);
  expect(new TextDecoder().decode(await readAll(source))).toBe('blob');
  await source.close();

  const foreign = newFolder('models--evil', 'snapshots', 'abc123');
  symlinkSync(join(repository, 'blobs', '0a1b'), join(foreign, NAME));
  await expectCode('CKPT_PATH_UNSAFE', () => folderFiles(foreign).open(NAME));
});

test('C3: links within the folder, to the folder, and to nothing', async () => {
  const folder = folderWith('content');
  symlinkSync(NAME, join(folder, 'alias'));
  symlinkSync('gone', join(folder, 'dangling'));
  const link = join(newFolder(), 'link');
  symlinkSync(folder, link);
  const source = await folderFiles(link).open('alias');
  expect(source?.sizeBytes).toBe(7);
  await source?.close();
  expect(await folderFiles(link).open('dangling')).toBeNull();
  symlinkSync('loop', join(folder, 'loop'));
  await expectCode('CKPT_READ', () => folderFiles(folder).open('loop'));
});

test('C4: a folder, a pipe and a device are refused without waiting', { timeout: 5000 }, async () => {
  const folder = newFolder();
  mkdirSync(join(folder, 'folder'));
  execFileSync('mkfifo', [join(folder, 'pipe')]);
  symlinkSync('/dev/zero', join(folder, 'zero'));
  for (const [name, kind] of [
    ['folder', 'a folder'],
    ['pipe', 'a pipe'],
    ['zero', 'a device'],
  ]) {
    const error = await expectCode('CKPT_NOT_A_FILE', () => folderFiles(folder).open(name));
    expect(error.message).toContain(kind);
  }
});

test('a missing folder, and a file instead of a folder', async () => {
  const file = join(folderWith('x'), NAME);
  for (const path of [join(scratch, 'nowhere'), file, join(file, 'below')]) {
    const error = await expectCode('CKPT_FILE_MISSING', () => folderFiles(path).open(NAME));
    expect(error.message).toContain(path);
  }
  await expectCode('CKPT_READ', () => folderFiles('a\0b').open(NAME));
});

test('C14: a sparse config.json of 1 GB', { timeout: 5000 }, async () => {
  const folder = newFolder();
  writeFileSync(join(folder, 'config.json'), '');
  truncateSync(join(folder, 'config.json'), 2 ** 30);
  await expectCode('CONFIG_TOO_LARGE', () => readModelConfig(folderFiles(folder)));
});

test('S16: the file shrinks after it was opened', async () => {
  const folder = folderWith('0123456789');
  const source = await openFile(folder);
  truncateSync(join(folder, NAME), 4);
  await expectCode('CKPT_SHORT_READ', () => source.readInto(2, new Uint8Array(8)));
  await expectCode('CKPT_CHANGED', () => source.readInto(0, new Uint8Array(4)));
  await source.close();
});

test('S16: another file of the same size and time is moved over it', async () => {
  const folder = folderWith('0123456789');
  const other = join(folderWith('abcdefghij'), NAME);
  for (const path of [other, join(folder, NAME)]) utimesSync(path, 1000, 1000);
  const source = await openFile(folder);
  renameSync(other, join(folder, NAME));
  await expectCode('CKPT_CHANGED', () => source.readInto(0, new Uint8Array(10)));
  await source.close();
});

test('S16: the file is written to in place, or removed', async () => {
  const folder = folderWith('0123456789');
  const source = await openFile(folder);
  writeFileSync(join(folder, NAME), 'abcdefghij');
  await expectCode('CKPT_CHANGED', () => source.readInto(0, new Uint8Array(10)));
  rmSync(join(folder, NAME));
  await expectCode('CKPT_CHANGED', () => source.readInto(0, new Uint8Array(10)));
  await source.close();
});

test('reading past the end is a short read', async () => {
  const source = await openFile(folderWith('0123456789'));
  await expectCode('CKPT_SHORT_READ', () => source.readInto(8, new Uint8Array(3)));
  await source.close();
});
