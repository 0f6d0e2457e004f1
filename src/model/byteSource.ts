/** A file's bytes, wherever it lies: a file range in Node, an HTTP range or a Blob in a page, memory in tests. */
export interface ByteSource {
  /** What error messages call it, e.g. `model-00001-of-00002.safetensors`. */
  readonly name: string;
  readonly sizeBytes: number;
  /**
   * Fills `target` with the bytes from `offset` on.
   * @throws CheckpointError CKPT_READ, CKPT_SHORT_READ (the source ends early), CKPT_CHANGED (replaced since it was opened)
   */
  readInto(offset: number, target: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** The files of one checkpoint folder. */
export interface ModelFiles {
  /** What error messages call the folder. */
  readonly name: string;
  /** `null` when there is no such file. */
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
      target.set(bytes.subarray(offset, offset + target.byteLength));
    },
    async close() {},
  };
}
