import { expect, test } from 'vitest';
import { Checkpoint } from '../../src/model/checkpoint/checkpoint.ts';
import { verifyWeights } from '../../src/model/checkpoint/verifyWeights.ts';
import { expectCode, memoryFiles, oneLayer, parseTiny, weightsFile } from './helpers.ts';

const config = parseTiny(oneLayer);
const norm = 'language_model.model.norm.weight';
const single = (bytes: Uint8Array) => memoryFiles({ 'model.safetensors': bytes });

const poisons: [row: string, dtype: string, bytes: number[]][] = [
  ['bf16 NaN', 'BF16', [0xc0, 0x7f]],
  ['bf16 -infinity', 'BF16', [0x80, 0xff]],
  ['f16 NaN', 'F16', [0x01, 0x7c]],
  ['f32 infinity', 'F32', [0x00, 0x00, 0x80, 0x7f]],
];

test.for(poisons)('S18: %s is accepted by open and named by verifyWeights', async ([, dtype, poison]) => {
  const index = 5;
  const bytes = weightsFile(
    config,
    (tensors) => {
      for (const tensor of tensors) tensor.dtype = dtype;
    },
    (data, header) => data.set(poison, header[norm].data_offsets[0] + index * poison.length),
  );
  const checkpoint = await Checkpoint.open(single(bytes), config);
  const error = await expectCode('CKPT_NONFINITE', () => verifyWeights(checkpoint));
  expect(error.details).toMatchObject({ tensor: norm, actual: index, file: 'model.safetensors' });
  expect(error.message).toContain(`index ${index}`);
});

test('S18: the index counts across the chunks of a large tensor', async () => {
  const large = parseTiny({ ...oneLayer, 'llm_config.vocab_size': 20_000 });
  const name = 'language_model.model.embed_tokens.weight';
  const bytes = weightsFile(large, undefined, (data, header) =>
    data.set([0xc0, 0x7f], header[name].data_offsets[0] + 2 * 2_100_000),
  );
  const checkpoint = await Checkpoint.open(single(bytes), large);
  expect((await expectCode('CKPT_NONFINITE', () => verifyWeights(checkpoint))).details.actual).toBe(
    2_100_000,
  );
});

test('S18: weights that are all zero are warnings; progress ends at the total', async () => {
  const bytes = weightsFile(config, undefined, (data, header) => {
    data.fill(1);
    data.fill(0, ...header[norm].data_offsets);
    data.fill(0, ...header['linear_proj.0.bias'].data_offsets);
  });
  const checkpoint = await Checkpoint.open(single(bytes), config);
  const progress: number[] = [];
  const warnings = await verifyWeights(checkpoint, {
    onProgress: ({ doneBytes, totalBytes }) => progress.push(doneBytes / totalBytes),
  });
  expect(warnings).toEqual([`model.safetensors: tensor ${norm} is all zeros`]);
  expect(progress.at(-1)).toBe(1);
  expect(progress).toEqual([...progress].sort((a, b) => a - b));
});
