/** Tunings in the user's cache folder: a file for each adapter, driver, version of this package and text of the kernels. */
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

/** @returns what `m2 tune` kept for this adapter, its driver and these kernels; null where there is none, or a damaged file */
export async function readTuning(gpu: Gpu): Promise<Tuning | null> {
  try {
    const { tuning } = JSON.parse(await readFile(await tuningFile(gpu), 'utf8'));
    return isTuning(gpu, tuning) ? tuning : null;
  } catch {
    return null;
  }
}

/**
 * Keeps a tuning beside what is known of other shape classes.
 *
 * @returns the file
 * @throws InputError INPUT_FILE when it can't be written
 */
export async function writeTuning(gpu: Gpu, tuning: Tuning): Promise<string> {
  const known = await readTuning(gpu);
  const joined = Object.fromEntries(
    TUNED_KERNELS.map((kernel) => [kernel, { ...known?.[kernel], ...tuning[kernel] }]),
  );
  const file = await tuningFile(gpu);
  const partial = `${file}.${randomUUID()}`; // renamed when whole: two processes may write at once
  try {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(partial, `${JSON.stringify({ adapter: gpu.description, tuning: joined }, null, 2)}\n`);
    await rename(partial, file);
  } catch (cause) {
    await rm(partial, { force: true }).catch(() => {});
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new InputError('INPUT_FILE', `${file} can't be written (${reason})`, {
      file,
      hint: 'XDG_CACHE_HOME names another folder',
      cause,
    });
  }
  return file;
}

/** @returns the file that was there, or null */
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

/** A file may be damaged in any way: only known candidates are let in. */
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
