/**
 * Where files come from. Node gives ranges of files, a page gives HTTP ranges or Blobs, tests give memory:
 * everything that reads a checkpoint sees only the two interfaces here.
 */
import { CheckpointError } from '../../errors.ts';

/** A file's bytes, wherever it lies. */
export interface ByteSource {
  /** What error messages call it, e.g. `model-00001-of-00002.safetensors`. */
  readonly name: string;
  readonly sizeBytes: number;
  /**
   * Fills all of `target` with the bytes from `offset` on, or throws: never a part, never zeros instead.
   *
   * @throws CheckpointError CKPT_READ, CKPT_SHORT_READ (the source ends early), CKPT_CHANGED (since it was opened)
   */
  readInto(offset: number, target: Uint8Array): Promise<void>;
  /** Safe to call twice. */
  close(): Promise<void>;
}

/** The files of one checkpoint folder. */
export interface ModelFiles {
  /** What error messages call the folder. */
  readonly name: string;
  /**
   * @param fileName a plain name, see `assertSafeFileName`
   * @returns `null` when there is no such file
   * @throws CheckpointError CKPT_PATH_UNSAFE, CKPT_NOT_A_FILE, CKPT_READ
   */
  open(fileName: string): Promise<ByteSource | null>;
}

/** @returns all bytes of `source`; the caller has checked `sizeBytes` against its own limit */
export async function readAll(source: ByteSource): Promise<Uint8Array> {
  const bytes = new Uint8Array(source.sizeBytes);
  await source.readInto(0, bytes);
  return bytes;
}

/** A `ByteSource` over bytes in memory, also over a view into a larger buffer. */
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

/** The error of a source that ends before `offset + wantedBytes`. */
export function shortRead(source: ByteSource, offset: number, wantedBytes: number): CheckpointError {
  return new CheckpointError(
    'CKPT_SHORT_READ',
    `${source.name} ends before byte ${offset + wantedBytes}, which its header or size promised`,
    { file: source.name, expected: offset + wantedBytes, hint: 'the file was cut: download it again' },
  );
}

/**
 * Refuses every name that could lead out of the checkpoint folder. Shards lie beside their index, so a plain
 * name is enough: no separators of any system, no drive letters, no URL escapes, no control characters.
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
      hint: 'weights must lie in the checkpoint folder itself; get the checkpoint from a source you trust',
    },
  );
}
