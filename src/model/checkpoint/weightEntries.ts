/** Compares the tensors in a checkpoint's files with those that its config requires. */
import { CheckpointError } from '../../errors.ts';
import type { WeightDtype } from '../../gpu/weightFormats.ts';
import { shown, shownName } from '../../json.ts';
import type { ByteSource } from './byteSource.ts';
import type { ModelConfig } from './config.ts';
import { expectedTensors } from './expectedTensors.ts';
import type { TensorEntry } from './safetensors.ts';

/** One tensor of the model, as it is stored. */
export interface WeightEntry {
  readonly name: string;
  readonly dtype: WeightDtype;
  readonly shape: readonly number[];
  readonly sizeBytes: number;
  /** The file that holds it. */
  readonly file: string;
}

/** Any tensor in a file of the checkpoint, needed or not. */
export interface StoredTensor extends TensorEntry {
  readonly source: ByteSource;
}

/**
 * Finds the tensors that the config requires.
 *
 * @returns the tensors by name, in the order of `expectedTensors`
 * @throws CheckpointError CKPT_TENSOR_MISSING (one error that lists all), CKPT_SHAPE_MISMATCH, CKPT_DTYPE_UNSUPPORTED
 */
export function weightEntries(
  stored: ReadonlyMap<string, StoredTensor>,
  config: ModelConfig,
  folder: string,
): Map<string, WeightEntry> {
  const expected = expectedTensors(config);
  const missing = expected.filter(({ name }) => !stored.has(name)).map(({ name }) => name);
  const hint = 'config.json and weights must come from the same checkpoint';
  if (missing.length > 0) {
    const message = `${folder} lacks ${missing.length} of ${expected.length} tensors: ${missing.join(', ')}`;
    throw new CheckpointError('CKPT_TENSOR_MISSING', message, { tensor: missing[0], actual: missing, hint });
  }
  const entries = new Map<string, WeightEntry>();
  for (const { name, shape } of expected) {
    const tensor = stored.get(name) as StoredTensor;
    const file = tensor.source.name;
    if (shape.length !== tensor.shape.length || shape.some((size, axis) => size !== tensor.shape[axis])) {
      throw new CheckpointError(
        'CKPT_SHAPE_MISMATCH',
        `${file}: tensor ${name} has shape ${shown(tensor.shape)}, but config.json requires ${shown(shape)}`,
        { file, tensor: name, expected: shape, actual: tensor.shape, hint },
      );
    }
    const sizeBytes = tensor.end - tensor.begin;
    entries.set(name, { name, dtype: weightDtype(tensor), shape, sizeBytes, file });
  }
  return entries;
}

function weightDtype({ name, dtype, source }: StoredTensor): WeightDtype {
  if (dtype === 'F32') return 'f32';
  if (dtype === 'BF16') return 'bf16';
  if (dtype === 'F16') return 'f16';
  throw new CheckpointError(
    'CKPT_DTYPE_UNSUPPORTED',
    `${source.name}: tensor ${name} has dtype ${dtype}, supported are BF16, F16 and F32`,
    { file: source.name, tensor: name, actual: dtype, hint: 'use the checkpoint as published, in bf16' },
  );
}

/** @returns a warning for each kind of tensor (audio, other) that is in the files but not part of the model */
export function unusedTensorWarnings(
  stored: ReadonlyMap<string, StoredTensor>,
  entries: ReadonlyMap<string, WeightEntry>,
): string[] {
  const extras = [...stored.keys()].filter((name) => !entries.has(name));
  const audio = extras.filter((name) => name.startsWith('audio'));
  const others = extras.filter((name) => !name.startsWith('audio'));
  const warnings: string[] = [];
  if (audio.length > 0)
    warnings.push(`${audio.length} audio tensors are ignored: only text and images are read`);
  if (others.length > 0) {
    const list = `${others.slice(0, 5).map(shownName).join(', ')}${others.length > 5 ? ', …' : ''}`;
    warnings.push(`${others.length} tensors are not part of the model and are ignored: ${list}`);
  }
  return warnings;
}
