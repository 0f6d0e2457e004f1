// Writes GGUF, the file format of llama.cpp, version 3.
//
//   header     'GGUF', version, number of tensors, number of metadata entries
//   metadata   for each entry: key, type, value
//   tensors    for each tensor: name, dimensions (fastest first), type, offset of its data
//   data       each tensor's values, starting at a multiple of 32 bytes
//
// Follows: docs/gguf.md of ggml

// @ts-check
import { open } from 'node:fs/promises';

/**
 * @typedef {'uint32' | 'int32' | 'float32' | 'string' | 'int32[]' | 'string[]'} MetadataType
 * @typedef {readonly [key: string, type: MetadataType, value: number | string | readonly (number | string)[]]} Metadata
 *
 * @typedef {object} GgufTensor
 * @property {string} name
 * @property {readonly number[]} shape row-major, slowest dimension first
 * @property {'F32' | 'F16'} type
 * @property {() => AsyncIterable<Uint8Array>} data the bytes of the values, in chunks
 */

const VERSION = 3;
const ALIGNMENT = 32; // the format's default
const METADATA_TYPES = { uint32: 4, int32: 5, float32: 6, string: 8, array: 9 };
const TENSOR_TYPES = { F32: { code: 0, bytes: 4 }, F16: { code: 1, bytes: 2 } };

/**
 * @param {string} path
 * @param {{ metadata: readonly Metadata[], tensors: readonly GgufTensor[] }} contents
 */
export async function writeGguf(path, { metadata, tensors }) {
  const file = await open(path, 'w');
  try {
    const header = headerBytes(metadata, tensors);
    await file.writeFile(header);
    let position = header.byteLength;
    for (const { name, shape, type, data } of tensors) {
      const start = position;
      for await (const piece of data()) {
        await file.writeFile(piece);
        position += piece.byteLength;
      }
      const expected = tensorBytes(shape, type);
      if (position - start !== expected)
        throw new RangeError(`${name}: ${position - start} bytes of data, its shape has ${expected}`);
      const padding = aligned(position) - position;
      await file.writeFile(new Uint8Array(padding));
      position += padding;
    }
  } finally {
    await file.close();
  }
}

/**
 * @param {readonly Metadata[]} metadata
 * @param {readonly GgufTensor[]} tensors
 */
function headerBytes(metadata, tensors) {
  /** @type {Uint8Array[]} */
  const parts = [Buffer.from('GGUF'), uint32(VERSION), uint64(tensors.length), uint64(metadata.length)];
  for (const [key, type, value] of metadata) {
    parts.push(string(key));
    if (!type.endsWith('[]')) {
      parts.push(uint32(METADATA_TYPES[/** @type {'string'} */ (type)]), scalar(type, value));
      continue;
    }
    const itemType = /** @type {'string'} */ (type.slice(0, -2));
    const items = /** @type {readonly (number | string)[]} */ (value);
    parts.push(uint32(METADATA_TYPES.array), uint32(METADATA_TYPES[itemType]), uint64(items.length));
    for (const item of items) parts.push(scalar(itemType, item));
  }
  let offset = 0;
  for (const { name, shape, type } of tensors) {
    parts.push(string(name), uint32(shape.length), ...[...shape].reverse().map(uint64));
    parts.push(uint32(TENSOR_TYPES[type].code), uint64(offset));
    offset = aligned(offset + tensorBytes(shape, type));
  }
  const bytes = Buffer.concat(parts);
  return Buffer.concat([bytes, new Uint8Array(aligned(bytes.byteLength) - bytes.byteLength)]);
}

/** @param {readonly number[]} shape @param {'F32' | 'F16'} type */
function tensorBytes(shape, type) {
  return shape.reduce((product, size) => product * size, TENSOR_TYPES[type].bytes);
}

/** @param {number} position */
function aligned(position) {
  return Math.ceil(position / ALIGNMENT) * ALIGNMENT;
}

/** @param {string} type @param {unknown} value */
function scalar(type, value) {
  if (type === 'string') return string(String(value));
  const bytes = Buffer.alloc(4);
  if (type === 'uint32') bytes.writeUInt32LE(Number(value));
  else if (type === 'int32') bytes.writeInt32LE(Number(value));
  else bytes.writeFloatLE(Number(value));
  return bytes;
}

/** @param {string} text */
function string(text) {
  const bytes = Buffer.from(text);
  return Buffer.concat([uint64(bytes.byteLength), bytes]);
}

/** @param {number} value */
function uint32(value) {
  return scalar('uint32', value);
}

/** @param {number} value */
function uint64(value) {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
