/** The weights of one model: found, validated against the config, and read range by range. */
import { CheckpointError, InputError } from '../../errors.ts';
import { shownName } from '../../json.ts';
import type { ByteSource, ModelFiles } from './byteSource.ts';
import { INDEX_FILE, readWeightMap } from './checkpointIndex.ts';
import type { ModelConfig } from './config.ts';
import { readSafetensorsHeader } from './safetensors.ts';
import { type StoredTensor, unusedTensorWarnings, type WeightEntry, weightEntries } from './weightEntries.ts';

export type { WeightEntry };

/** Weights are read in chunks of about this size, so that host memory does not grow with the tensors. */
export const PIECE_BYTES = 4 * 2 ** 20;

const SINGLE_FILE = 'model.safetensors';

/** An open checkpoint. It has every tensor that the config requires, with the right shape and a supported dtype. */
export class Checkpoint {
  /** The model's tensors by name. Other tensors in the files are only mentioned in `warnings`. */
  readonly entries: ReadonlyMap<string, WeightEntry>;
  readonly warnings: readonly string[];
  readonly #stored: ReadonlyMap<string, StoredTensor>;
  readonly #sources: readonly ByteSource[];

  private constructor(
    entries: ReadonlyMap<string, WeightEntry>,
    warnings: readonly string[],
    stored: ReadonlyMap<string, StoredTensor>,
    sources: readonly ByteSource[],
  ) {
    this.entries = entries;
    this.warnings = warnings;
    this.#stored = stored;
    this.#sources = sources;
  }

  /**
   * Opens `model.safetensors`, or the shards that `model.safetensors.index.json` names. It reads only headers and makes all
   * checks, before any weight is read.
   *
   * @throws CheckpointError CKPT_FILE_MISSING (no weights, or only a pickle or an adapter), CKPT_INDEX_INVALID,
   *   CKPT_PATH_UNSAFE, CKPT_SHARD_MISSING, CKPT_TENSOR_MISSING (lists all), CKPT_TENSOR_DUPLICATE,
   *   CKPT_SHAPE_MISMATCH, CKPT_DTYPE_UNSUPPORTED, ST_* for a header, or what `files` throws
   */
  static async open(files: ModelFiles, config: ModelConfig): Promise<Checkpoint> {
    const weightMap = await readWeightMap(files);
    const fileNames = weightMap === null ? [SINGLE_FILE] : [...new Set(weightMap.values())];
    const sources: ByteSource[] = [];
    try {
      const missing = await openSources(files, fileNames, sources);
      if (missing.length > 0) throw await missingFilesError(files, missing, weightMap);
      const stored = await readHeaders(sources);
      assertIndexTrue(weightMap, stored);
      const entries = weightEntries(stored, config, files.name);
      return new Checkpoint(entries, unusedTensorWarnings(stored, entries), stored, sources);
    } catch (error) {
      await Promise.all(sources.map((source) => source.close()));
      throw error;
    }
  }

  /** Whether the model has this tensor, e.g. `language_model.lm_head.weight`, which tied embeddings do without. */
  has(name: string): boolean {
    return this.entries.has(name);
  }

  /** The tensor's dtype, shape, size and file. @throws CheckpointError CKPT_TENSOR_MISSING */
  entry(name: string): WeightEntry {
    const entry = this.entries.get(name);
    if (entry !== undefined) return entry;
    throw new CheckpointError('CKPT_TENSOR_MISSING', `the model has no tensor ${name}`, { tensor: name });
  }

  /**
   * Fills `target` with the stored bytes of a tensor, from `byteOffset` within the tensor on.
   *
   * @throws CheckpointError CKPT_TENSOR_MISSING, CKPT_READ, CKPT_SHORT_READ, CKPT_CHANGED
   * @throws InputError INPUT_RANGE if the range exceeds the tensor
   */
  async readInto(name: string, byteOffset: number, target: Uint8Array): Promise<void> {
    const { sizeBytes } = this.entry(name);
    if (!Number.isInteger(byteOffset) || byteOffset < 0 || byteOffset + target.byteLength > sizeBytes) {
      const range = `${target.byteLength} bytes from ${byteOffset} on`;
      throw new InputError('INPUT_RANGE', `${name} has ${sizeBytes} bytes, but ${range} were requested`, {
        tensor: name,
      });
    }
    const { source, begin } = this.#stored.get(name) as StoredTensor;
    await source.readInto(begin + byteOffset, target);
  }

  /** Closes the files. Nothing can be read afterwards. Safe to call twice. */
  async close(): Promise<void> {
    await Promise.all(this.#sources.map((source) => source.close()));
  }
}

/**
 * @param sources receives the opened files, so that the caller can close them even after a failure
 * @returns the names of the missing files
 */
async function openSources(
  files: ModelFiles,
  fileNames: readonly string[],
  sources: ByteSource[],
): Promise<string[]> {
  const missing: string[] = [];
  for (const fileName of fileNames) {
    const source = await files.open(fileName);
    if (source === null) missing.push(fileName);
    else sources.push(source);
  }
  return missing;
}

async function missingFilesError(
  files: ModelFiles,
  missing: readonly string[],
  weightMap: ReadonlyMap<string, string> | null,
): Promise<CheckpointError> {
  if (weightMap === null) return noWeightsError(files);
  return new CheckpointError(
    'CKPT_SHARD_MISSING',
    `${files.name} lacks files that ${INDEX_FILE} names: ${missing.join(', ')}`,
    { file: missing[0], actual: missing, hint: 'download the missing files' },
  );
}

/** The error for a folder without safetensors. It names a well-known other format that is there instead. */
async function noWeightsError(files: ModelFiles): Promise<CheckpointError> {
  const merge = 'this is a LoRA adapter: merge it into its base model and save that as safetensors';
  const convert = 'pickle files can run code and are never read: convert them to safetensors first';
  const others = [
    ['adapter_config.json', merge],
    ['pytorch_model.bin', convert],
    ['pytorch_model.bin.index.json', convert],
  ];
  let hint = `download ${SINGLE_FILE}, or ${INDEX_FILE} and its shards`;
  let found = '';
  for (const [fileName, advice] of others) {
    const source = await files.open(fileName);
    if (source === null) continue;
    await source.close();
    [found, hint] = [` but has ${fileName}`, advice];
    break;
  }
  const message = `${files.name} has neither ${SINGLE_FILE} nor ${INDEX_FILE}${found}`;
  return new CheckpointError('CKPT_FILE_MISSING', message, { file: SINGLE_FILE, hint });
}

async function readHeaders(sources: readonly ByteSource[]): Promise<Map<string, StoredTensor>> {
  const stored = new Map<string, StoredTensor>();
  for (const source of sources) {
    for (const [name, entry] of await readSafetensorsHeader(source)) {
      const other = stored.get(name);
      if (other !== undefined) {
        const message = `tensor ${shownName(name)} is in ${other.source.name} and in ${source.name}`;
        const hint = 'the files belong to different checkpoints: download all of them again';
        const where = { tensor: name, file: source.name };
        throw new CheckpointError('CKPT_TENSOR_DUPLICATE', message, { ...where, hint });
      }
      stored.set(name, { ...entry, source });
    }
  }
  return stored;
}

function assertIndexTrue(
  weightMap: ReadonlyMap<string, string> | null,
  stored: ReadonlyMap<string, StoredTensor>,
): void {
  const wrong = [...(weightMap ?? [])].filter(([name, file]) => stored.get(name)?.source.name !== file);
  if (wrong.length === 0) return;
  const list = wrong.map(([name, file]) => `${shownName(name)} (${file})`).join(', ');
  throw new CheckpointError(
    'CKPT_TENSOR_MISSING',
    `tensors are not in the file that ${INDEX_FILE} names: ${list}`,
    {
      file: INDEX_FILE,
      tensor: wrong[0][0],
      actual: wrong.map(([name]) => name),
      hint: 'index and files belong to different checkpoints: download all of them again',
    },
  );
}
