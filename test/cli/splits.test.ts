import { expect, test } from 'vitest';
import { splitTensors, uploadedTensors } from '../../src/cli/splits.ts';
import { openGpu } from '../../src/gpu/device.ts';
import { Checkpoint } from '../../src/model/checkpoint/checkpoint.ts';
import { folderFiles } from '../../src/model/checkpoint/checkpointFolder.node.ts';
import { readModelConfig } from '../../src/model/checkpoint/config.ts';
import { chooseForms } from '../../src/model/load/forms.ts';
import { loadWeights } from '../../src/model/load/loadWeights.ts';
import { tiny } from '../tinyExamples.ts';

const entry = (name: string, shape: number[]) => ({
  name,
  dtype: 'bf16' as const,
  shape,
  sizeBytes: 2 * shape.reduce((product, size) => product * size, 1),
  file: 'model.safetensors',
});

test('q, k and v are joined, as are gate and up; all other tensors are as stored', () => {
  const layer = 'language_model.model.layers.3';
  const uploaded = uploadedTensors([
    entry(`${layer}.self_attn.q_proj.weight`, [64, 48]),
    entry(`${layer}.self_attn.k_proj.weight`, [16, 48]),
    entry(`${layer}.self_attn.v_proj.weight`, [16, 48]),
    entry(`${layer}.self_attn.q_proj.bias`, [64]),
    entry(`${layer}.mlp.gate_proj.weight`, [100, 48]),
    entry(`${layer}.mlp.up_proj.weight`, [100, 48]),
    entry('vision_model.blocks.0.attn.qkv.weight', [96, 32]),
  ]);
  expect(uploaded.map(({ name, shape }) => [name, shape])).toEqual([
    [`${layer}.self_attn.{q,k,v}_proj.weight`, [96, 48]],
    [`${layer}.self_attn.{q,k,v}_proj.bias`, [64]],
    [`${layer}.mlp.{gate,up}_proj.weight`, [200, 48]],
    ['vision_model.blocks.0.attn.qkv.weight', [96, 32]],
  ]);
});

test.each([tiny, new URL('../goldens/checkpoints/rope-1d-f16/', import.meta.url).pathname])(
  'counts the same pieces as loading %s makes',
  async (folder) => {
    const files = folderFiles(folder);
    const config = await readModelConfig(files);
    const checkpoint = await Checkpoint.open(files, config);
    const gpu = await openGpu({ maxBindingBytes: 20_000 });
    const { tensors } = await loadWeights(gpu, checkpoint, config, chooseForms(gpu, config, {}));
    const made = tensors.filter(({ pieces }) => pieces.length > 1);
    const counted = splitTensors(uploadedTensors(checkpoint.entries.values()), gpu.maxBindingBytes);
    expect(made.length).toBeGreaterThan(5);
    const byRows = (a: number[], b: number[]) => a[0] - b[0] || a[1] - b[1];
    expect(counted.map(({ shape, pieces }) => [shape[0], pieces ?? 0]).sort(byRows)).toEqual(
      made.map(({ shape, pieces }) => [shape[0], pieces.length]).sort(byRows),
    );
    await checkpoint.close();
    gpu.destroy();
  },
);

test('a row longer than the limit has no pieces', () => {
  const tensor = { name: 'weight', dtype: 'bf16' as const, shape: [16, 50], layout: 'panels' as const };
  expect(splitTensors([tensor], 99)).toMatchObject([{ pieces: null }]);
});
