import { readFileSync } from 'node:fs';

export interface StoredTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array | Uint8Array;
}

/** Reads the `.safetensors` of a golden (trusted, only F32 and U8) as typed arrays. */
export function readTensors(path: string): Map<string, StoredTensor> {
  const file = readFileSync(path);
  const headerBytes = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, 8 + headerBytes));
  const tensors = new Map<string, StoredTensor>();
  for (const [name, entry] of Object.entries<{ dtype: string; shape: number[]; data_offsets: number[] }>(
    header,
  )) {
    if (name === '__metadata__') continue;
    const [begin, end] = entry.data_offsets;
    const bytes = new Uint8Array(file.subarray(8 + headerBytes + begin, 8 + headerBytes + end));
    const data = entry.dtype === 'F32' ? new Float32Array(bytes.buffer) : bytes;
    tensors.set(name, { shape: entry.shape, data });
  }
  return tensors;
}

/** The path of the goldens' root. */
export const goldens = new URL('./goldens/', import.meta.url).pathname;

export function readJson(path: string) {
  return JSON.parse(readFileSync(path, 'utf8'));
}
