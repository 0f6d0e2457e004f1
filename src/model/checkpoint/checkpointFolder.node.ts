/** A checkpoint folder on disk, read range by range. */
import type { BigIntStats } from 'node:fs';
import { constants, type FileHandle, open, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { CheckpointError } from '../../errors.ts';
import { assertSafeFileName, type ByteSource, type ModelFiles, shortRead } from './byteSource.ts';

/**
 * The files of the folder `path`. The only links that may leave the folder are those of a Hugging Face cache snapshot into the
 * cache's blobs. Pipes, devices and directories are refused before anything is read from them.
 *
 * @returns files whose `open` and `readInto` throw CheckpointError: CKPT_FILE_MISSING (no such folder), CKPT_PATH_UNSAFE,
 *   CKPT_NOT_A_FILE, CKPT_READ (the system's error is the `cause`), CKPT_SHORT_READ, CKPT_CHANGED (size, time or identity differ
 *   from those at `open`)
 */
export function folderFiles(path: string): ModelFiles {
  return {
    name: path,
    async open(fileName) {
      assertSafeFileName(fileName, path);
      const folder = await realFolder(path);
      const filePath = await ifExists(realpath(join(folder, fileName)), fileName);
      const stats = filePath === null ? null : await ifExists(stat(filePath, { bigint: true }), fileName);
      if (filePath === null || stats === null) return null;
      // Check the kind before opening: opening a pipe would wait for its writer. And before the path, for the better message.
      assertFile(stats, fileName);
      assertInside(filePath, folder, fileName);
      return openFile(filePath, fileName);
    },
  };
}

async function openFile(filePath: string, name: string): Promise<ByteSource> {
  // O_NONBLOCK (absent on Windows): if the file has become a pipe since `stat`, opening it must not block.
  const flags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);
  let handle: FileHandle;
  let opened: BigIntStats;
  try {
    handle = await open(filePath, flags);
  } catch (cause) {
    throw readError(name, cause);
  }
  try {
    opened = await handle.stat({ bigint: true });
    assertFile(opened, name);
  } catch (cause) {
    await handle.close();
    throw cause instanceof CheckpointError ? cause : readError(name, cause);
  }
  const source: ByteSource = {
    name,
    sizeBytes: Number(opened.size),
    async readInto(offset, target) {
      let filled = 0;
      while (filled < target.byteLength) {
        const { bytesRead } = await handle
          .read(target, filled, target.byteLength - filled, offset + filled)
          .catch((cause) => {
            throw readError(name, cause);
          });
        if (bytesRead === 0) throw shortRead(source, offset, target.byteLength);
        filled += bytesRead;
      }
      // By path and after the read: if another file was moved over this one, the handle would still show the old file.
      const now = await ifExists(stat(filePath, { bigint: true }), name);
      if (now === null || !isSameFile(now, opened)) throw changedError(name);
    },
    async close() {
      await handle.close();
    },
  };
  return source;
}

async function realFolder(path: string): Promise<string> {
  const folder = await ifExists(realpath(path), path);
  const stats = folder === null ? null : await ifExists(stat(folder), path);
  if (folder !== null && stats?.isDirectory()) return folder;
  const what = folder === null ? 'does not exist' : 'is not a folder';
  throw new CheckpointError('CKPT_FILE_MISSING', `the checkpoint folder ${path} ${what}`, {
    file: path,
    hint: 'give the folder that holds config.json and the weights',
  });
}

/** @returns null if the file does not exist @throws CheckpointError CKPT_READ for any other failure */
async function ifExists<T>(result: Promise<T>, name: string): Promise<T | null> {
  try {
    return await result;
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw readError(name, cause);
  }
}

function assertFile(stats: BigIntStats, name: string): void {
  if (stats.isFile()) return;
  const kind = stats.isDirectory() ? 'a folder' : stats.isFIFO() ? 'a pipe' : 'a device or socket';
  throw new CheckpointError('CKPT_NOT_A_FILE', `${name} is ${kind}, expected a plain file`, {
    file: name,
    hint: 'download the checkpoint again into an empty folder',
  });
}

/** `filePath` and `folder` must have all links resolved. @throws CheckpointError CKPT_PATH_UNSAFE */
function assertInside(filePath: string, folder: string, name: string): void {
  const fileFolder = dirname(filePath);
  if (fileFolder === folder) return;
  // The layout of the cache: <repo>/snapshots/<commit>/<name> is a link to <repo>/blobs/<hash>.
  const isSnapshot = basename(dirname(folder)) === 'snapshots';
  if (isSnapshot && fileFolder === join(folder, '..', '..', 'blobs')) return;
  throw new CheckpointError('CKPT_PATH_UNSAFE', `${name} is a link that leaves the checkpoint folder`, {
    file: name,
    hint: 'copy the file into the folder; only links into the blobs of a Hugging Face cache are followed',
  });
}

function isSameFile(a: BigIntStats, b: BigIntStats): boolean {
  return a.size === b.size && a.mtimeNs === b.mtimeNs && a.ino === b.ino && a.dev === b.dev;
}

function changedError(name: string): CheckpointError {
  return new CheckpointError('CKPT_CHANGED', `${name} was changed or replaced while it was being read`, {
    file: name,
    hint: 'wait until its download is complete, then load again',
  });
}

function readError(name: string, cause: unknown): CheckpointError {
  const { code, message } = cause as NodeJS.ErrnoException;
  const hint = code === 'EACCES' ? 'check the permissions of the file' : 'check the disk and load again';
  return new CheckpointError('CKPT_READ', `${name} can't be read (${code ?? message})`, {
    file: name,
    cause,
    hint,
  });
}
