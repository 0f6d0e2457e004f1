import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { type ErrorCode, M2Error } from '../../src/errors.ts';
import { type ByteSource, type ModelFiles, memorySource } from '../../src/model/checkpoint/byteSource.ts';
import { type ModelConfig, parseModelConfig } from '../../src/model/checkpoint/config.ts';
import { expectedTensors } from '../../src/model/checkpoint/expectedTensors.ts';
import { goldens } from '../readTensors.ts';

export const utf8 = (text: string) => new TextEncoder().encode(text);

/** A safetensors file. `header` is an object or the exact text. */
export function safetensorsFile(header: object | string, dataBytes: number | Uint8Array = 0): Uint8Array {
  const json = utf8(typeof header === 'string' ? header : JSON.stringify(header));
  const data = typeof dataBytes === 'number' ? new Uint8Array(dataBytes) : dataBytes;
  const file = new Uint8Array(8 + json.byteLength + data.byteLength);
  new DataView(file.buffer).setBigUint64(0, BigInt(json.byteLength), true);
  file.set(json, 8);
  file.set(data, 8 + json.byteLength);
  return file;
}

/** A checkpoint folder in memory; objects become JSON. `opened` lists the opened files, `live` those not yet closed. */
export function memoryFiles(contents: Record<string, Uint8Array | object>) {
  const opened: string[] = [];
  const live = new Set<ByteSource>();
  const files: ModelFiles = {
    name: 'memory',
    async open(fileName) {
      if (!Object.hasOwn(contents, fileName)) return null;
      const content = contents[fileName];
      const bytes = content instanceof Uint8Array ? content : utf8(JSON.stringify(content));
      const source = memorySource(fileName, bytes);
      source.close = async () => {
        live.delete(source);
      };
      opened.push(fileName);
      live.add(source);
      return source;
    },
  };
  return { ...files, opened, live };
}

/** A small config in the published form. `path: value` pairs replace fields, `undefined` removes them. */
export function tinyConfig(changes: Record<string, unknown> = {}): Record<string, unknown> {
  const config = JSON.parse(readFileSync(`${goldens}checkpoints/mrope-bf16/config.json`, 'utf8'));
  for (const [path, value] of Object.entries(changes)) {
    const keys = path.split('.');
    const last = keys.pop() as string;
    const parent = keys.reduce((object, key) => object[key], config);
    if (value === undefined) delete parent[last];
    else parent[last] = value;
  }
  return config;
}

/** `tinyConfig`, parsed. */
export function parseTiny(changes: Record<string, unknown> = {}): ModelConfig {
  return parseModelConfig(utf8(JSON.stringify(tinyConfig(changes))), 'config.json');
}

/** Changes for one decoder layer and two vision blocks, one of each kind. */
export const oneLayer = {
  'llm_config.num_hidden_layers': 1,
  'vision_config.depth': 2,
  'vision_config.fullatt_block_indexes': [1],
};

/** A header and data with all tensors of `config`, filled with zeros; `edit` may change the list of tensors. */
export function weightsFile(
  config: ModelConfig,
  edit: (tensors: { name: string; shape: readonly number[]; dtype: string }[]) => void = () => {},
  fill: (data: Uint8Array, header: Record<string, { data_offsets: number[] }>) => void = () => {},
): Uint8Array {
  const tensors = expectedTensors(config).map(({ name, shape }) => ({ name, shape, dtype: 'BF16' }));
  edit(tensors);
  const header: Record<string, { dtype: string; shape: readonly number[]; data_offsets: number[] }> = {};
  let end = 0;
  for (const { name, shape, dtype } of tensors) {
    const begin = end;
    end += shape.reduce((product, size) => product * size, dtypeBytes(dtype));
    header[name] = { dtype, shape, data_offsets: [begin, end] };
  }
  const data = new Uint8Array(end);
  fill(data, header);
  return safetensorsFile(header, data);
}

function dtypeBytes(dtype: string): number {
  return { F8_E4M3: 1, F16: 2, BF16: 2, F32: 4, I64: 8 }[dtype] as number;
}

/** Runs `action` and expects our own error with exactly this code. @returns the error */
export async function expectCode(code: ErrorCode, action: () => unknown): Promise<M2Error> {
  const error = await Promise.resolve()
    .then(action)
    .then(
      () => undefined,
      (thrown) => thrown,
    );
  expect(error, `expected ${code}`).toBeInstanceOf(M2Error);
  expect(error.code, error.message).toBe(code);
  expect(error.message).not.toMatch(/undefined|\[object/);
  return error;
}
