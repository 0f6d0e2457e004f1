/**
 * The two interfaces through which everything reads a checkpoint. The bytes may come from files (Node), from HTTP ranges or
 * Blobs (a page), or from memory (tests).
 */
import { CheckpointError } from '../../errors.ts';

/** The bytes of one file. */
export interface ByteSource {
  /** The file's name in error messages, e.g. `model-00001-of-00002.safetensors`. */
  readonly name: string;
  readonly sizeBytes: number;
  /**
   * Fills all of `target` with the bytes from `offset` on, or throws. It never fills only a part.
   *
   * @throws CheckpointError CKPT_READ, CKPT_SHORT_READ (the source ends early), CKPT_CHANGED (it changed since it was opened)
   */
  readInto(offset: number, target: Uint8Array): Promise<void>;
  /** Safe to call twice. */
  close(): Promise<void>;
}

/** The files of one checkpoint folder. */
export interface ModelFiles {
  /** The folder's name in error messages. */
  readonly name: string;
  /**
   * Opens a file.
   *
   * @param fileName a plain name, see `assertSafeFileName`
   * @returns `null` if there is no such file
   * @throws CheckpointError CKPT_PATH_UNSAFE, CKPT_NOT_A_FILE, CKPT_READ
   */
  open(fileName: string): Promise<ByteSource | null>;
}

/** Reads all bytes. The caller must have checked `sizeBytes` against a limit. @throws CheckpointError as `readInto` */
export async function readAll(source: ByteSource): Promise<Uint8Array> {
  const bytes = new Uint8Array(source.sizeBytes);
  await source.readInto(0, bytes);
  return bytes;
}

/** A `ByteSource` over bytes in memory. `bytes` may be a view into a larger buffer. */
export function memorySource(name: string, bytes: Uint8Array): ByteSource {
  return {
    name,
    sizeBytes: bytes.byteLength,
    async readInto(offset, target) {
      const part = bytes.subarray(offset, offset + target.byteLength);
      if (part.byteLength < target.byteLength) throw shortRead(this, offset, target.byteLength);
      target.set(part);
    },
    async close() {},
  };
}

/** The error for a source that ends before byte `offset + wantedBytes`. */
export function shortRead(source: ByteSource, offset: number, wantedBytes: number): CheckpointError {
  return new CheckpointError(
    'CKPT_SHORT_READ',
    `${source.name} ends before byte ${offset + wantedBytes}, which its header or size promised`,
    { file: source.name, expected: offset + wantedBytes, hint: 'the file is incomplete: download it again' },
  );
}

/**
 * Refuses every name that could lead out of the checkpoint folder. Shards are in the same folder as their index, so plain names
 * are enough: no path separators, drive letters, URL escapes or control characters.
 *
 * @throws CheckpointError CKPT_PATH_UNSAFE
 */
export function assertSafeFileName(fileName: string, namedBy: string): void {
  const forbidden = /[/\\:%\p{Cc}]/u;
  if (fileName !== '' && fileName.length <= 255 && !fileName.startsWith('.') && !forbidden.test(fileName))
    return;
  throw new CheckpointError(
    'CKPT_PATH_UNSAFE',
    `${namedBy} names the file ${JSON.stringify(fileName.slice(0, 300))}, which is not a plain file name`,
    {
      file: namedBy,
      hint: 'weights must be in the checkpoint folder itself; get the checkpoint from a source you trust',
    },
  );
}
