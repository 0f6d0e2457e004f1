import { expect, test } from 'vitest';
import { splitTensors, uploadedTensors } from '../../src/cli/splits.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { weightTensor } from '../../src/gpu/tensor.ts';

const entry = (name: string, shape: number[]) => ({
  name,
  dtype: 'bf16' as const,
  shape,
  sizeBytes: 2 * shape.reduce((product, size) => product * size, 1),
  file: 'model.safetensors',
});

test('q, k, v are joined, and gate with up; everything else stays as it is stored', () => {
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

test('counts the pieces that weightTensor makes', () => {
  for (const rows of [1, 2, 3, 7, 64, 65]) {
    for (const rowLength of [1, 3, 50]) {
      for (const maxBindingBytes of [1, 4, 6, 100, 101, 250, 300, 7000]) {
        const tensor = { name: 'weight', dtype: 'bf16' as const, shape: [rows, rowLength] };
        const [split] = splitTensors([tensor], maxBindingBytes);
        const pieces = split === undefined ? 1 : split.pieces;
        expect([rows, rowLength, maxBindingBytes, pieces]).toEqual([
          rows,
          rowLength,
          maxBindingBytes,
          piecesMade(tensor.shape, maxBindingBytes),
        ]);
      }
    }
  }
});

/** Null where weightTensor refuses. */
function piecesMade(shape: readonly number[], maxBindingBytes: number): number | null {
  const gpu = { maxBindingBytes, createBuffer: () => ({}) } as unknown as Gpu;
  try {
    return weightTensor(gpu, 'bf16', shape, 'weight').pieces.length;
  } catch {
    return null;
  }
}
