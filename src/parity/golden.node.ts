/** Reads golden cases: the results of the published code, stage by stage (test/goldens/README.md). */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ParityError } from '../errors.ts';
import { memorySource } from '../model/checkpoint/byteSource.ts';
import { readSafetensorsHeader } from '../model/checkpoint/safetensors.ts';
import type { Message } from '../processor/text/messages.ts';

export interface GoldenTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array | Uint8Array;
}

/** The fields of `case.json` that are compared. */
export interface GoldenAnswers {
  readonly checkpoint: string;
  readonly behaviour: 'generate' | 'generate-int-scale' | 'forward' | 'forward-int-scale';
  readonly expansion?: 'reference' | 'intended' | 'none';
  readonly messages: readonly Message[];
  readonly prompt_text: string;
  readonly expanded_text: string;
  readonly input_ids: readonly number[];
  readonly image_grid_thw: readonly [number, number, number][] | null;
  readonly position_ids: readonly (readonly number[])[];
  readonly rope_delta: number | null;
  readonly window_index: readonly number[] | null;
  readonly cu_window_seqlens_raw: readonly number[] | null;
  readonly cu_window_seqlens: readonly number[] | null;
  readonly cu_seqlens: readonly number[] | null;
  readonly decode_position_ids: readonly (readonly number[])[];
  readonly greedy_ids: readonly number[];
  readonly greedy_text: string;
  readonly generate_options: {
    readonly max_new_tokens: number;
    readonly eos_token_id: number | readonly number[];
  };
  /** Set if the published code fails on this input. */
  readonly error?: { readonly type: string; readonly message: string };
}

/** One golden case. */
export interface GoldenCase {
  /** `mrope-bf16/one-png-224` or `seven-b-slice/text-only`. */
  readonly name: string;
  readonly answers: GoldenAnswers;
  readonly tensors: ReadonlyMap<string, GoldenTensor>;
}

/** The checkpoint whose weights are generated instead of stored. */
export const GENERATED_CHECKPOINT = 'seven-b-slice';

/**
 * The names `CHECKPOINT/NAME` of all cases in a goldens folder, ordered by checkpoint.
 *
 * @throws ParityError PARITY_GOLDEN_MISSING if there are none
 */
export async function listCases(goldensDir: string): Promise<string[]> {
  const names: string[] = [];
  for (const checkpoint of await foldersIn(join(goldensDir, 'cases'))) {
    for (const name of await foldersIn(join(goldensDir, 'cases', checkpoint)))
      names.push(`${checkpoint}/${name}`);
  }
  for (const name of await foldersIn(join(goldensDir, GENERATED_CHECKPOINT, 'cases'))) {
    names.push(`${GENERATED_CHECKPOINT}/${name}`);
  }
  if (names.length > 0) return names;
  throw new ParityError('PARITY_GOLDEN_MISSING', `${goldensDir} has no golden cases`, {
    file: goldensDir,
    hint: 'give the folder that contains cases/CHECKPOINT/NAME/case.json',
  });
}

/**
 * Reads one case and checks that it is complete.
 *
 * @param name `CHECKPOINT/NAME`
 * @throws ParityError PARITY_GOLDEN_MISSING if there is no such case, PARITY_GOLDEN_INVALID if a file is damaged
 */
export async function readCase(goldensDir: string, name: string): Promise<GoldenCase> {
  const [checkpoint, caseName] = name.split('/');
  const folder =
    checkpoint === GENERATED_CHECKPOINT
      ? join(goldensDir, checkpoint, 'cases', caseName ?? '')
      : join(goldensDir, 'cases', checkpoint, caseName ?? '');
  const answers = await readAnswers(join(folder, 'case.json'), name);
  if (answers.error) return { name, answers, tensors: new Map() };

  const file = join(folder, 'tensors.safetensors');
  try {
    return { name, answers, tensors: await readTensors(file) };
  } catch (cause) {
    throw damaged(file, cause);
  }
}

async function readAnswers(file: string, name: string): Promise<GoldenAnswers> {
  const text = await readFile(file, 'utf8').catch((cause) => {
    throw new ParityError('PARITY_GOLDEN_MISSING', `there is no case ${name} (${file})`, {
      file,
      cause,
      hint: 'name it CHECKPOINT/NAME, e.g. mrope-bf16/one-png-224',
    });
  });
  try {
    const answers = JSON.parse(text) as GoldenAnswers;
    const required = answers.error
      ? (['messages', 'input_ids'] as const)
      : (['messages', 'input_ids', 'prompt_text', 'position_ids', 'greedy_ids', 'generate_options'] as const);
    const absent = required.find((field) => answers[field] === undefined);
    if (absent) throw new Error(`${absent} is missing`);
    return answers;
  } catch (cause) {
    throw damaged(file, cause);
  }
}

async function readTensors(file: string): Promise<Map<string, GoldenTensor>> {
  const bytes = await readFile(file);
  const tensors = new Map<string, GoldenTensor>();
  for (const [name, { dtype, shape, begin, end }] of await readSafetensorsHeader(memorySource(file, bytes))) {
    const copy = Uint8Array.from(bytes.subarray(begin, end)); // aligned, whatever the offset in the file
    if (dtype !== 'F32' && dtype !== 'U8') throw new Error(`tensor ${name} has dtype ${dtype}`);
    tensors.set(name, { shape, data: dtype === 'F32' ? new Float32Array(copy.buffer) : copy });
  }
  return tensors;
}

function damaged(file: string, cause: unknown): ParityError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new ParityError('PARITY_GOLDEN_INVALID', `${file} can't be used: ${reason}`, {
    file,
    cause,
    hint: 'restore it from the repository',
  });
}

async function foldersIn(path: string): Promise<string[]> {
  const entries = await readdir(path).catch(() => []);
  const folders: string[] = [];
  for (const entry of entries.sort()) {
    if ((await stat(join(path, entry))).isDirectory()) folders.push(entry);
  }
  return folders;
}
