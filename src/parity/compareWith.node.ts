import { dirname, join, resolve, sep } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { ParityError } from '../errors.ts';
import { readModelConfig } from '../model/checkpoint/config.ts';
import type { M2Reasoning } from '../model/m2Reasoning.ts';
import { compareCase } from './compareCase.node.ts';
import { GENERATED_CHECKPOINT, readCase } from './golden.node.ts';
import type { CaseReport } from './report.ts';
import { answeredVariant, checkpointFiles } from './runParity.node.ts';

/**
 * Compares every stage of a model with a golden case of its checkpoint, using the model's own kernels.
 *
 * @param caseDir the case's folder: …/cases/CHECKPOINT/NAME, or …/seven-b-slice/cases/NAME
 * @returns all stages; `firstDivergence` names the first that differs
 * @throws ParityError PARITY_GOLDEN_MISSING, PARITY_GOLDEN_INVALID; PARITY_CHECKPOINT if the case belongs to another checkpoint;
 *   GenerationError GEN_DISPOSED if the model has been destroyed
 */
export async function compareWith(model: M2Reasoning, caseDir: string): Promise<CaseReport> {
  const folders = resolve(caseDir).split(sep);
  const name = folders[folders.length - 1];
  const isGenerated = folders[folders.length - 3] === GENERATED_CHECKPOINT;
  const checkpoint = isGenerated ? GENERATED_CHECKPOINT : folders[folders.length - 2];
  const goldensDir = dirname(dirname(dirname(resolve(caseDir))));
  const golden = await readCase(goldensDir, `${checkpoint}/${name}`);
  const config = await readModelConfig(await checkpointFiles(goldensDir, checkpoint));
  if (!isDeepStrictEqual(config, model.config)) {
    throw new ParityError(
      'PARITY_CHECKPOINT',
      `${caseDir} is a golden case of ${checkpoint}, not of this model`,
      {
        file: caseDir,
        hint: `load ${join(goldensDir, 'checkpoints', checkpoint)}, or give a case of the model's own checkpoint`,
      },
    );
  }
  const variant = golden.answers.error && (await answeredVariant(goldensDir, golden));
  return compareCase(model, golden, goldensDir, variant);
}
