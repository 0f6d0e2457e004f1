/** Reads an image file; the only part of the processor that needs Node. */

import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { ImageError } from '../../errors.ts';
import { checkFileSize } from './image.ts';

/**
 * Reads a whole file.
 *
 * @param path a path, or a `file://` URL
 * @param name the picture's name in error messages
 * @param maxBytes larger files are refused before they are read
 * @returns the file's bytes
 * @throws ImageError IMAGE_NOT_FOUND (no such file, a directory, a pipe, not readable), IMAGE_TOO_LARGE
 */
export async function readImageFile(path: string, name: string, maxBytes: number): Promise<Uint8Array> {
  let file: FileHandle | undefined;
  try {
    const filePath = /^file:/i.test(path) ? fileURLToPath(path) : path;
    // Without O_NONBLOCK (absent on Windows, which has no FIFOs), opening a FIFO waits for its writer.
    file = await open(filePath, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    const stat = await file.stat();
    if (!stat.isFile()) throw new ImageError('IMAGE_NOT_FOUND', `${name}: is not a regular file`);
    checkFileSize(stat.size, name, maxBytes);
    return await readAll(file, stat.size);
  } catch (cause) {
    if (cause instanceof ImageError) throw cause;
    throw new ImageError('IMAGE_NOT_FOUND', `${name}: can't be read`, { hint: 'check the path', cause });
  } finally {
    await file?.close();
  }
}

/** Reads at most `sizeBytes`, even if the file grows meanwhile. */
async function readAll(file: FileHandle, sizeBytes: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(sizeBytes);
  let filled = 0;
  while (filled < sizeBytes) {
    const { bytesRead } = await file.read(bytes, filled, sizeBytes - filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}
