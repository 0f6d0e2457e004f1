/**
 * A virtual checkpoint: its weights are computed from their index whenever they are read. So a model of any size can be tested
 * and timed without a file or the memory for one.
 */
import { type ByteSource, type ModelFiles, memorySource, shortRead } from '../model/checkpoint/byteSource.ts';
import type { ModelConfig } from '../model/checkpoint/config.ts';
import { expectedTensors } from '../model/checkpoint/expectedTensors.ts';

/** One tensor of pseudo-random bf16 values, uniform in [offset - scale, offset + scale). */
export interface GeneratedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly scale: number;
  /** 1 for the weights of norms, otherwise 0. */
  readonly offset: number;
}

export interface GeneratedFilesOptions {
  /** `config.json`, as bytes or as an object. */
  readonly config: Uint8Array | object;
  readonly tensors: readonly GeneratedTensor[];
  /** The source of all other files (tokenizer, preprocessor config), except weights and their index. */
  readonly otherFiles: ModelFiles;
}

const WEIGHTS_FILE = 'model.safetensors';

/**
 * A checkpoint folder with one generated `model.safetensors`, in bf16.
 *
 * Follows: goldens README, "seven-b-slice weights"
 */
export function generatedFiles({ config, tensors, otherFiles }: GeneratedFilesOptions): ModelFiles {
  const configBytes = config instanceof Uint8Array ? config : encodeJson(config);
  return {
    name: `generated (${otherFiles.name})`,
    async open(fileName) {
      if (fileName === 'config.json') return memorySource(fileName, configBytes);
      if (fileName === WEIGHTS_FILE) return generatedSource(tensors);
      if (fileName.includes('.safetensors')) return null;
      return otherFiles.open(fileName);
    },
  };
}

/**
 * Every tensor that a model with this config needs, with scales that keep activations in range: a variance of 1 / inputSize for
 * matrices, values around 1 for norms.
 */
export function generatedTensorsFor(config: ModelConfig): GeneratedTensor[] {
  return expectedTensors(config).map(({ name, shape }) => {
    if (shape.length > 1) {
      const inputSize = shape.slice(1).reduce((product, size) => product * size, 1);
      return { name, shape, scale: Math.fround(Math.sqrt(3 / inputSize)), offset: 0 };
    }
    return name.endsWith('.bias')
      ? { name, shape, scale: 0.02, offset: 0 }
      : { name, shape, scale: 0.25, offset: 1 };
  });
}

const BYTES_PER_VALUE = 2;
const CHUNK_VALUES = 32_768; // small enough for the scratch arrays to stay in the CPU's cache

function generatedSource(tensors: readonly GeneratedTensor[]): ByteSource {
  const placed: { tensor: GeneratedTensor; begin: number; end: number }[] = [];
  const header: Record<string, object> = {};
  let dataBytes = 0;
  for (const tensor of tensors) {
    const begin = dataBytes;
    dataBytes += BYTES_PER_VALUE * tensor.shape.reduce((product, size) => product * size, 1);
    header[tensor.name] = { dtype: 'BF16', shape: tensor.shape, data_offsets: [begin, dataBytes] };
    placed.push({ tensor, begin, end: dataBytes });
  }
  const headerBytes = fileHeader(header);
  const source: ByteSource = {
    name: WEIGHTS_FILE,
    sizeBytes: headerBytes.byteLength + dataBytes,
    async readInto(offset, target) {
      const endOffset = offset + target.byteLength;
      if (endOffset > source.sizeBytes) throw shortRead(source, offset, target.byteLength);
      target.set(headerBytes.subarray(offset, endOffset));
      // From here on, offsets count from the first byte of the data.
      const [from, to] = [offset - headerBytes.byteLength, endOffset - headerBytes.byteLength];
      for (const { tensor, begin, end } of placed) {
        if (end <= from || begin >= to) continue;
        const [first, last] = [Math.max(begin, from), Math.min(end, to)];
        fillBytes(tensor, first - begin, target.subarray(first - from, last - from));
      }
    },
    async close() {},
  };
  return source;
}

/** Fills `target` with the tensor's bytes from `byteOffset` within the tensor on, which may be odd. */
function fillBytes(tensor: GeneratedTensor, byteOffset: number, target: Uint8Array): void {
  const values = new Uint16Array(CHUNK_VALUES);
  const valueBytes = new Uint8Array(values.buffer);
  let done = 0;
  while (done < target.byteLength) {
    const position = byteOffset + done;
    const skip = position % BYTES_PER_VALUE; // the first half of a value may lie before the range
    const wanted = Math.min(valueBytes.byteLength - skip, target.byteLength - done);
    const count = Math.ceil((skip + wanted) / BYTES_PER_VALUE);
    generateBf16(tensor, (position - skip) / BYTES_PER_VALUE, values.subarray(0, count));
    target.set(valueBytes.subarray(skip, skip + wanted), done);
    done += wanted;
  }
}

/** @param target receives the bf16 bits of the values `firstIndex`, `firstIndex + 1`, … of the flat tensor */
function generateBf16(
  { name, scale, offset }: GeneratedTensor,
  firstIndex: number,
  target: Uint16Array,
): void {
  const seed = fnv1a(name);
  const floats = new Float32Array(target.length);
  const bits = new Uint32Array(floats.buffer);
  for (let i = 0; i < target.length; i++) {
    let x = (seed + Math.imul(firstIndex + i + 1, 0x9e3779b9)) | 0;
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    x ^= x >>> 16;
    const random = (x >>> 8) * 2 ** -23 - 1; // 24 bits, exact in float32, in [-1, 1)
    floats[i] = offset + Math.fround(random * scale); // rounded to float32 by the assignment
  }
  for (let i = 0; i < target.length; i++) {
    const roundUp = 0x7fff + ((bits[i] >>> 16) & 1); // to nearest, ties to even
    target[i] = (bits[i] + roundUp) >>> 16; // bf16 is the upper half of an f32
  }
}

/** 32-bit FNV-1a hash of the UTF-8 text. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash;
}

/** The length and the JSON, padded with spaces so that the data starts at a multiple of 8. */
function fileHeader(header: object): Uint8Array {
  const json = encodeJson(header);
  const jsonBytes = Math.ceil(json.byteLength / 8) * 8;
  const bytes = new Uint8Array(8 + jsonBytes).fill(' '.charCodeAt(0));
  new DataView(bytes.buffer).setBigUint64(0, BigInt(jsonBytes), true);
  bytes.set(json, 8);
  return bytes;
}

function encodeJson(value: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
