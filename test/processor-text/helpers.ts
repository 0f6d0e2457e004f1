import { readdirSync, readFileSync } from 'node:fs';
import type { M2Error } from '../../src/errors.ts';
import { Tokenizer } from '../../src/processor/text/tokenizer.ts';
import { goldens, readJson } from '../readTensors.ts';

/** The tokenizer of a checkpoint folder; default: the one that all goldens share. */
export function goldenTokenizer(folder = `${goldens}checkpoints/mrope-bf16/`): Tokenizer {
  return Tokenizer.fromJson(
    readFileSync(`${folder}tokenizer.json`),
    readFileSync(`${folder}tokenizer_config.json`),
    'tokenizer.json',
  );
}

/** Every `case.json` under `cases/` and `seven-b-slice/cases/`, with its path from the goldens' root. */
// biome-ignore lint/suspicious/noExplicitAny: the goldens' JSON is trusted and described in their README
export function goldenCases(): { name: string; golden: any }[] {
  const folders = ['seven-b-slice/cases/'];
  for (const checkpoint of readdirSync(`${goldens}cases`)) folders.push(`cases/${checkpoint}/`);
  return folders.flatMap((folder) =>
    readdirSync(goldens + folder).map((name) => ({
      name: `${folder}${name}`,
      golden: readJson(`${goldens}${folder}${name}/case.json`),
    })),
  );
}

/** @returns the error that `action` throws; fails the test if it throws none */
export function thrownBy(action: () => unknown): M2Error {
  try {
    action();
  } catch (error) {
    return error as M2Error;
  }
  throw new Error('nothing was thrown');
}
