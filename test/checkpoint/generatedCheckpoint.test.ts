import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { memorySource } from '../../src/model/checkpoint/byteSource.ts';
import { Checkpoint } from '../../src/model/checkpoint/checkpoint.ts';
import { folderFiles } from '../../src/model/checkpoint/checkpointFolder.node.ts';
import { parseModelConfig, readModelConfig } from '../../src/model/checkpoint/config.ts';
import { expectedTensors } from '../../src/model/checkpoint/expectedTensors.ts';
import { verifyWeights } from '../../src/model/checkpoint/verifyWeights.ts';
import {
  type GeneratedTensor,
  generatedFiles,
  generatedTensorsFor,
} from '../../src/parity/generatedCheckpoint.ts';
import { goldens, readJson } from '../readTensors.ts';
import { expectCode, memoryFiles, tinyConfig, utf8 } from './helpers.ts';

interface GoldenTensor extends GeneratedTensor {
  readonly first4_float32: readonly number[];
  readonly first4_bf16: readonly number[];
  readonly last_bf16: number;
  readonly bf16_bits_sum_mod_2_32: number;
}

const slice: { tensors: GoldenTensor[]; parameters: number } = readJson(
  `${goldens}seven-b-slice/weights.json`,
);
const sliceFiles = generatedFiles({
  config: readFileSync(`${goldens}seven-b-slice/config.json`),
  tensors: slice.tensors,
  otherFiles: folderFiles(`${goldens}checkpoints/mrope-bf16`),
});

const PIECE = 4 * 2 ** 20;
const fromBf16 = (bits: number) => new Float32Array(new Uint32Array([bits << 16]).buffer)[0];

test('seven-b-slice: the first, last and summed bits of every tensor equal the golden', async () => {
  const checkpoint = await Checkpoint.open(sliceFiles, await readModelConfig(sliceFiles));
  expect(checkpoint.warnings).toEqual([]);
  const piece = new Uint8Array(PIECE);
  let valueCount = 0;
  for (const { name, first4_bf16, last_bf16, bf16_bits_sum_mod_2_32 } of slice.tensors) {
    const { sizeBytes } = checkpoint.entry(name);
    let sum = 0;
    let last = 0;
    for (let offset = 0; offset < sizeBytes; offset += PIECE) {
      const bytes = piece.subarray(0, Math.min(PIECE, sizeBytes - offset));
      await checkpoint.readInto(name, offset, bytes);
      const bits = new Uint16Array(bytes.buffer, 0, bytes.byteLength / 2);
      if (offset === 0) expect([...bits.subarray(0, 4)].map(fromBf16), name).toEqual(first4_bf16);
      for (let i = 0; i < bits.length; i++) sum = (sum + bits[i]) >>> 0;
      last = bits[bits.length - 1];
      valueCount += bits.length;
    }
    expect(fromBf16(last), name).toBe(last_bf16);
    expect(sum, name).toBe(bf16_bits_sum_mod_2_32);
  }
  expect(valueCount).toBe(slice.parameters);
});

test('seven-b-slice: the expected tensors are those that the golden lists', async () => {
  const expected = expectedTensors(await readModelConfig(sliceFiles));
  const byName = (tensors: readonly { name: string; shape: readonly number[] }[]) =>
    new Map(tensors.map(({ name, shape }) => [name, shape]));
  expect(byName(expected)).toEqual(byName(slice.tensors));
});

test('any byte range equals that part of the whole file, including odd offsets and the header', async () => {
  const tensors = [
    { name: 'a', shape: [3, 5], scale: 0.5, offset: 0 },
    { name: 'empty', shape: [0], scale: 1, offset: 0 },
    { name: 'b', shape: [40_000], scale: 0.25, offset: 1 },
    { name: 'c', shape: [1], scale: 1, offset: 0 },
  ];
  const source = await generatedFiles({ config: {}, tensors, otherFiles: memoryFiles({}) }).open(
    'model.safetensors',
  );
  if (source === null) throw new Error('the weights should be there');
  const whole = new Uint8Array(source.sizeBytes);
  await source.readInto(0, whole);
  const dataBegin = source.sizeBytes - 2 * (15 + 40_000 + 1);
  const offsets = [
    0,
    1,
    7,
    8,
    dataBegin - 1,
    dataBegin,
    dataBegin + 1,
    dataBegin + 29,
    dataBegin + 30,
    dataBegin + 31,
  ];
  for (const offset of [...offsets, dataBegin + 65_567, source.sizeBytes - 3]) {
    for (const length of [0, 1, 2, 3, 29, 30, 31, 64, 65_535, 65_536, 65_537, 70_001]) {
      const part = new Uint8Array(Math.min(length, source.sizeBytes - offset));
      await source.readInto(offset, part);
      expect(
        Buffer.compare(part, whole.subarray(offset, offset + part.byteLength)),
        `${length} bytes at ${offset}`,
      ).toBe(0);
    }
  }
  await expectCode('CKPT_SHORT_READ', () => source.readInto(source.sizeBytes - 1, new Uint8Array(2)));
});

test('only the weights and the config are generated', async () => {
  const others = { 'tokenizer.json': {}, 'config.json': { wrong: 1 }, 'model.safetensors.index.json': {} };
  const files = generatedFiles({ config: tinyConfig(), tensors: [], otherFiles: memoryFiles(others) });
  expect((await readModelConfig(files)).llm.hiddenSize).toBe(128);
  expect(await files.open('model.safetensors.index.json')).toBeNull();
  expect(await files.open('missing.json')).toBeNull();
  expect((await files.open('tokenizer.json'))?.sizeBytes).toBe(2);
});

const published = {
  'vision_config.depth': 32,
  'vision_config.hidden_size': 1280,
  'vision_config.num_heads': 16,
  'vision_config.intermediate_size': 3420,
  'vision_config.out_hidden_size': 3584,
  'vision_config.fullatt_block_indexes': [7, 15, 23, 31],
  'llm_config.hidden_size': 3584,
  'llm_config.num_hidden_layers': 28,
  'llm_config.num_attention_heads': 28,
  'llm_config.num_key_value_heads': 4,
  'llm_config.intermediate_size': 18_944,
  'llm_config.vocab_size': 152_064,
  'llm_config.rope_scaling.mrope_section': [16, 24, 24],
};

test.for([
  { intermediate_size: 3420, out_hidden_size: 3584 },
  { intermediate_size: 3456, out_hidden_size: 3584 },
  { intermediate_size: 3420, out_hidden_size: 8192 },
  { intermediate_size: 3456, out_hidden_size: 8192 },
])('the published 7B with vision %o: shapes follow, and opening reads only its header', async (variant) => {
  const config = tinyConfig({
    ...published,
    'vision_config.intermediate_size': variant.intermediate_size,
    'vision_config.out_hidden_size': variant.out_hidden_size,
  });
  const model = parseModelConfig(utf8(JSON.stringify(config)), 'config.json');
  const files = generatedFiles({ config, tensors: generatedTensorsFor(model), otherFiles: memoryFiles({}) });
  let bytesRead = 0;
  const counted = {
    name: files.name,
    async open(fileName: string) {
      const source = await files.open(fileName);
      if (source === null) return null;
      const readInto = source.readInto.bind(source);
      source.readInto = (offset, target) => {
        bytesRead += target.byteLength;
        return readInto(offset, target);
      };
      return source;
    },
  };
  const checkpoint = await Checkpoint.open(counted, model);
  expect(bytesRead).toBeLessThan(200_000);

  const shape = (name: string) => checkpoint.entry(name).shape;
  expect(shape('vision_model.blocks.31.mlp.down_proj.weight')).toEqual([1280, variant.intermediate_size]);
  expect(shape('vision_model.blocks.0.mlp.up_proj.bias')).toEqual([variant.intermediate_size]);
  expect(shape('vision_model.merger.mlp.2.weight')).toEqual([variant.out_hidden_size, 5120]);
  expect(shape('linear_proj.0.weight')).toEqual([3584, variant.out_hidden_size]);
  expect(shape('language_model.model.layers.27.self_attn.k_proj.weight')).toEqual([512, 3584]);

  // The last weights are 16 GB into the file, beyond 32-bit offsets.
  const lastRow = new Uint8Array(2 * 3584);
  await checkpoint.readInto('language_model.lm_head.weight', 2 * 3584 * 152_063, lastRow);
  const scale = Math.sqrt(3 / 3584);
  const values = [...new Uint16Array(lastRow.buffer)].map(fromBf16);
  const meanSquare = values.reduce((sum, value) => sum + value * value, 0) / values.length;
  expect(meanSquare).toBeGreaterThan((0.9 * scale ** 2) / 3);
  expect(meanSquare).toBeLessThan((1.1 * scale ** 2) / 3);
});

test('generated weights of a small model pass verifyWeights', async () => {
  const config = tinyConfig();
  const model = parseModelConfig(utf8(JSON.stringify(config)), 'config.json');
  const files = generatedFiles({ config, tensors: generatedTensorsFor(model), otherFiles: memoryFiles({}) });
  expect(await verifyWeights(await Checkpoint.open(files, model))).toEqual([]);
});

test('a memory source ends with its bytes', async () => {
  const source = memorySource('small.bin', new Uint8Array(4));
  await source.readInto(2, new Uint8Array(2));
  for (const offset of [3, 4, 100]) {
    const error = await expectCode('CKPT_SHORT_READ', () => source.readInto(offset, new Uint8Array(2)));
    expect(error.details.file).toBe('small.bin');
  }
});
