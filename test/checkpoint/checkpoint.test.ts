import { expect, test } from 'vitest';
import type { ErrorCode } from '../../src/errors.ts';
import type { ModelFiles } from '../../src/model/checkpoint/byteSource.ts';
import { Checkpoint } from '../../src/model/checkpoint/checkpoint.ts';
import { folderFiles } from '../../src/model/checkpoint/checkpointFolder.node.ts';
import { readModelConfig } from '../../src/model/checkpoint/config.ts';
import { expectedTensors } from '../../src/model/checkpoint/expectedTensors.ts';
import { verifyWeights } from '../../src/model/checkpoint/verifyWeights.ts';
import { goldens } from '../readTensors.ts';
import {
  expectCode,
  memoryFiles,
  oneLayer,
  parseTiny,
  safetensorsFile,
  utf8,
  weightsFile,
} from './helpers.ts';

const root = new URL('../../', import.meta.url).pathname;
const INDEX = 'model.safetensors.index.json';
const config = parseTiny(oneLayer);
const norm = 'language_model.model.norm.weight';

const single = (bytes: Uint8Array) => memoryFiles({ 'model.safetensors': bytes });

test.for([
  ['mrope-bf16', `${goldens}checkpoints/mrope-bf16`, 'bf16', 2],
  ['video-rope-f32', `${goldens}checkpoints/video-rope-f32`, 'f32', 1],
  ['rope-1d-f16', `${goldens}checkpoints/rope-1d-f16`, 'f16', 1],
  ['m2-tiny', `${root}weights/m2-tiny`, 'bf16', 2],
] as const)(
  '%s opens, verifies, and has the tensors that its config requires',
  async ([, path, dtype, fileCount]) => {
    const files = folderFiles(path);
    const itsConfig = await readModelConfig(files);
    const checkpoint = await Checkpoint.open(files, itsConfig);
    expect(checkpoint.warnings).toEqual([]);
    expect([...checkpoint.entries.keys()]).toEqual(expectedTensors(itsConfig).map(({ name }) => name));
    expect(new Set([...checkpoint.entries.values()].map((entry) => entry.dtype))).toEqual(new Set([dtype]));
    expect(new Set([...checkpoint.entries.values()].map((entry) => entry.file)).size).toBe(fileCount);
    expect(checkpoint.has('language_model.lm_head.weight')).toBe(!itsConfig.llm.tieWordEmbeddings);
    expect(await verifyWeights(checkpoint)).toEqual([]);
    await checkpoint.close();
    await checkpoint.close();
  },
);

test('reads any range of a tensor, but nothing outside it', async () => {
  const bytes = weightsFile(config, undefined, (data, header) => data.fill(7, ...header[norm].data_offsets));
  const checkpoint = await Checkpoint.open(single(bytes), config);
  const { sizeBytes } = checkpoint.entry(norm);
  const inner = new Uint8Array(sizeBytes - 3);
  await checkpoint.readInto(norm, 3, inner);
  expect(inner.every((byte) => byte === 7)).toBe(true);
  await expectCode('INPUT_RANGE', () => checkpoint.readInto(norm, 4, inner));
  await expectCode('INPUT_RANGE', () => checkpoint.readInto(norm, -1, new Uint8Array(1)));
  await expectCode('INPUT_RANGE', () => checkpoint.readInto(norm, 0.5, new Uint8Array(1)));
  await expectCode('CKPT_TENSOR_MISSING', () => checkpoint.readInto('toString', 0, new Uint8Array(1)));
});

test.for([
  ['../../etc/passwd'],
  ['/abs'],
  ['C:\\x'],
  ['\\\\host\\s'],
  ['a/../../b'],
  ['a\0b'],
  ['%2e%2e'],
  ['..'],
  ['.'],
  ['.hidden'],
  [''],
  ['a/b'],
  ['x'.repeat(300)],
])('C1: weight_map names %j', async ([fileName]) => {
  const files = memoryFiles({ [INDEX]: { weight_map: { [norm]: 'good.safetensors', other: fileName } } });
  const error = await expectCode('CKPT_PATH_UNSAFE', () => Checkpoint.open(files, config));
  expect(files.opened).toEqual([INDEX]);
  expect(error.details.file).toBe(INDEX);
});

/** The tensors of `config` in two files, selected by `first` and `second`, with an index according to `weightMap`. */
function sharded(
  first: (name: string) => boolean,
  second: (name: string) => boolean,
  weightMap: (name: string) => string,
) {
  const shard = (chosen: (name: string) => boolean) =>
    weightsFile(config, (tensors) =>
      tensors.splice(0, tensors.length, ...tensors.filter(({ name }) => chosen(name))),
    );
  const names = expectedTensors(config).map(({ name }) => name);
  return memoryFiles({
    [INDEX]: { weight_map: Object.fromEntries(names.map((name) => [name, weightMap(name)])) },
    'a.safetensors': shard(first),
    'b.safetensors': shard(second),
  });
}

const isVision = (name: string) => name.startsWith('vision_model');
const notVision = (name: string) => !isVision(name);
const rightShard = (name: string) => (isVision(name) ? 'a.safetensors' : 'b.safetensors');

test('two shards', async () => {
  const files = sharded(isVision, notVision, rightShard);
  const checkpoint = await Checkpoint.open(files, config);
  expect(checkpoint.entry(norm).file).toBe('b.safetensors');
  expect(files.live.size).toBe(2);
  await checkpoint.close();
  expect(files.live.size).toBe(0);
});

const wrongShards: [row: string, code: ErrorCode, files: ReturnType<typeof sharded>, text: string][] = [
  [
    'a shard is missing',
    'CKPT_SHARD_MISSING',
    sharded(isVision, notVision, (name) => (isVision(name) ? 'c.safetensors' : 'b.safetensors')),
    'c.safetensors',
  ],
  [
    'a tensor is not in its shard',
    'CKPT_TENSOR_MISSING',
    sharded(isVision, (name) => notVision(name) && name !== norm, rightShard),
    norm,
  ],
  [
    'a tensor is in the other shard',
    'CKPT_TENSOR_MISSING',
    sharded(
      (name) => isVision(name) || name === norm,
      (name) => notVision(name) && name !== norm,
      rightShard,
    ),
    norm,
  ],
  [
    'a tensor is in two shards',
    'CKPT_TENSOR_DUPLICATE',
    sharded((name) => isVision(name) || name === norm, notVision, rightShard),
    norm,
  ],
];

test.for(wrongShards)('C2: %s: %s', async ([, code, files, text]) => {
  expect((await expectCode(code, () => Checkpoint.open(files, config))).message).toContain(text);
  expect(files.live.size).toBe(0);
});

test.for<[row: string, index: Uint8Array | object]>([
  ['not JSON', utf8('{')],
  ['an array', []],
  ['no weight_map', {}],
  ['an empty weight_map', { weight_map: {} }],
  ['a weight_map of numbers', { weight_map: { a: 1 } }],
  ['a weight_map under __proto__', utf8('{"__proto__":{"weight_map":{"a":"b"}}}')],
])('an index that is %s', async ([, index]) => {
  const files = memoryFiles({ [INDEX]: index, 'model.safetensors': weightsFile(config) });
  await expectCode('CKPT_INDEX_INVALID', () => Checkpoint.open(files, config));
  expect(files.live.size).toBe(0);
});

test('an index of 1 GB is refused without reading it', async () => {
  const source = { name: INDEX, sizeBytes: 2 ** 30, readInto: async () => {}, close: async () => {} };
  await expectCode('CKPT_INDEX_INVALID', () =>
    Checkpoint.open({ name: 'huge', open: async () => source }, config),
  );
});

test('C13: __proto__ in a weight_map is a tensor name', async () => {
  const files = memoryFiles({
    [INDEX]: utf8('{"weight_map":{"__proto__":"a.safetensors"}}'),
    'a.safetensors': weightsFile(config),
  });
  expect((await expectCode('CKPT_TENSOR_MISSING', () => Checkpoint.open(files, config))).message).toContain(
    '__proto__',
  );
  expect(({} as Record<string, unknown>).weight_map).toBeUndefined();
});

test('C11: a shape that differs from the config', async () => {
  const other = parseTiny({ ...oneLayer, 'vision_config.intermediate_size': 152 });
  const error = await expectCode('CKPT_SHAPE_MISMATCH', () =>
    Checkpoint.open(single(weightsFile(other)), config),
  );
  expect(error.details).toMatchObject({
    tensor: 'vision_model.blocks.0.mlp.gate_proj.weight',
    expected: [144, 80],
    actual: [152, 80],
  });
  expect(error.message).toContain('[152,80]');
  expect(error.message).toContain('[144,80]');
});

test('C12: one error lists all missing tensors', async () => {
  const gone = [norm, 'linear_proj.2.bias', 'vision_model.merger.ln_q.weight'];
  const bytes = weightsFile(config, (tensors) => {
    for (const name of gone)
      tensors.splice(
        tensors.findIndex((tensor) => tensor.name === name),
        1,
      );
  });
  const error = await expectCode('CKPT_TENSOR_MISSING', () => Checkpoint.open(single(bytes), config));
  for (const name of gone) expect(error.message).toContain(name);
  expect(new Set(error.details.actual as string[])).toEqual(new Set(gone));
});

test('C12: other tensors and audio tensors are warnings, for any dtype', async () => {
  const bytes = weightsFile(config, (tensors) => {
    tensors.push({ name: 'audio_model.conv.weight', shape: [2], dtype: 'BF16' });
    tensors.push({ name: 'extra\u001b[31m', shape: [1], dtype: 'I64' });
  });
  const { warnings, entries } = await Checkpoint.open(single(bytes), config);
  expect(warnings).toHaveLength(2);
  expect(warnings[0]).toContain('1 audio tensor');
  expect(warnings[1]).toContain('extra');
  expect(warnings[1]).not.toContain('\u001b');
  expect(entries.size).toBe(expectedTensors(config).length);
});

test.for(['F8_E4M3', 'I64'])('S15: weights in %s', async (dtype) => {
  const bytes = weightsFile(config, (tensors) => {
    const tensor = tensors.find(({ name }) => name === norm);
    if (tensor !== undefined) tensor.dtype = dtype;
  });
  const error = await expectCode('CKPT_DTYPE_UNSUPPORTED', () => Checkpoint.open(single(bytes), config));
  expect(error.details.tensor).toBe(norm);
  expect(error.message).toContain(dtype);
});

test('dtypes may differ from tensor to tensor', async () => {
  const bytes = weightsFile(config, (tensors) => {
    for (const tensor of tensors) tensor.dtype = tensor.shape.length > 1 ? 'F16' : 'F32';
  });
  const checkpoint = await Checkpoint.open(single(bytes), config);
  expect(checkpoint.entry(norm)).toMatchObject({ dtype: 'f32', sizeBytes: 512 });
  expect(checkpoint.entry('linear_proj.0.weight')).toMatchObject({ dtype: 'f16', sizeBytes: 2 * 128 * 96 });
});

test.for([
  ['adapter_config.json', 'merge'],
  ['pytorch_model.bin', 'convert'],
  ['pytorch_model.bin.index.json', 'convert'],
  ['README.md', 'download'],
])('C20: a folder with only %s says to %s', async ([fileName, advice]) => {
  const files = memoryFiles({ [fileName]: {} });
  const error = await expectCode('CKPT_FILE_MISSING', () => Checkpoint.open(files, config));
  expect(error.details.hint).toContain(advice);
  expect(files.live.size).toBe(0);
});

test('files are closed if a header is invalid', async () => {
  const files = single(safetensorsFile('{'));
  await expectCode('ST_HEADER_INVALID', () => Checkpoint.open(files, config));
  expect(files.opened).toContain('model.safetensors');
  expect(files.live.size).toBe(0);
});

test('no read is larger than the header or a chunk', async () => {
  let largestRead = 0;
  const inner = folderFiles(`${root}weights/m2-tiny`);
  const watched: ModelFiles = {
    name: inner.name,
    async open(fileName) {
      const source = await inner.open(fileName);
      if (source === null || !fileName.endsWith('.safetensors')) return source;
      const readInto = source.readInto.bind(source);
      source.readInto = (offset, target) => {
        largestRead = Math.max(largestRead, target.byteLength);
        return readInto(offset, target);
      };
      return source;
    },
  };
  const checkpoint = await Checkpoint.open(watched, await readModelConfig(watched));
  expect(largestRead).toBeLessThan(10_000); // the headers
  await verifyWeights(checkpoint);
  expect(largestRead).toBeLessThanOrEqual(4 * 2 ** 20);
  await checkpoint.close();
});
