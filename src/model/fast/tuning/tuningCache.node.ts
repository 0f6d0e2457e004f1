/** Tunings in the user's cache folder: one file for each combination of adapter, driver, package version and kernel texts. */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { InputError } from '../../../errors.ts';
import type { Gpu } from '../../../gpu/device.ts';
import { kernelText } from '../../../gpu/readKernel.ts';
import { isJsonObject } from '../../../json.ts';
import { userCacheFolder } from '../../../userCacheFolder.node.ts';
import { TUNED_KERNELS, type TunedKernel, type Tuning, variantForms } from '../variants.ts';
import { tuningCandidates } from './tuning.ts';

/** @returns the tuning stored for this adapter, its driver and these kernels; null if there is none or its file is damaged */
export async function readTuning(gpu: Gpu): Promise<Tuning | null> {
  try {
    const { tuning } = JSON.parse(await readFile(await tuningFile(gpu), 'utf8'));
    return isTuning(gpu, tuning) ? tuning : null;
  } catch {
    return null;
  }
}

/**
 * Stores a tuning. The stored choices for other shape classes are kept.
 *
 * @returns the file's path
 * @throws InputError INPUT_FILE if it can't be written
 */
export async function writeTuning(gpu: Gpu, tuning: Tuning): Promise<string> {
  const known = await readTuning(gpu);
  const joined = Object.fromEntries(
    TUNED_KERNELS.map((kernel) => [kernel, { ...known?.[kernel], ...tuning[kernel] }]),
  );
  const file = await tuningFile(gpu);
  const partial = `${file}.${randomUUID()}`; // renamed when complete: two processes may write at once
  try {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(partial, `${JSON.stringify({ adapter: gpu.description, tuning: joined }, null, 2)}\n`);
    await rename(partial, file);
  } catch (cause) {
    await rm(partial, { force: true }).catch(() => {});
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new InputError('INPUT_FILE', `${file} can't be written (${reason})`, {
      file,
      hint: 'set XDG_CACHE_HOME to a folder that can be written',
      cause,
    });
  }
  return file;
}

/** Deletes the stored tuning of this adapter. @returns the path of the deleted file, or null if there was none */
export async function forgetTuning(gpu: Gpu): Promise<string | null> {
  const file = await tuningFile(gpu);
  const wasThere = await rm(file).then(
    () => true,
    () => false,
  );
  return wasThere ? file : null;
}

async function tuningFile(gpu: Gpu): Promise<string> {
  const { vendor, architecture, device, description } = gpu.info;
  const { version } = JSON.parse(
    await readFile(new URL('../../../../package.json', import.meta.url), 'utf8'),
  );
  const hash = createHash('sha256').update(
    JSON.stringify([vendor, architecture, device, description, version]),
  );
  for (const tuned of TUNED_KERNELS) {
    for (const variant of tuningCandidates(gpu, tuned)) {
      for (const { form } of variantForms(tuned, variant))
        hash.update(await kernelText(gpu, form.declaration));
    }
  }
  return join(userCacheFolder(), `tuning-${hash.digest('hex').slice(0, 16)}.json`);
}

/** Accepts known candidates only, since a file may be damaged in any way. */
function isTuning(gpu: Gpu, tuning: unknown): tuning is Tuning {
  if (!isJsonObject(tuning)) return false;
  return Object.entries(tuning).every(([kernel, choices]) => {
    if (!isTunedKernel(kernel) || !isJsonObject(choices)) return false;
    const known = tuningCandidates(gpu, kernel).map(asJson);
    return Object.values(choices).every((choice) => known.includes(asJson(choice)));
  });
}

function isTunedKernel(name: string): name is TunedKernel {
  return (TUNED_KERNELS as readonly string[]).includes(name);
}

const asJson = (value: unknown) => JSON.stringify(value);
