/** The trained toy model that comes with the package, and the question that `npm start` asks it. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The same path from src/ and from dist/, which mirrors it. */
export const BUNDLED_MODEL = fileURLToPath(new URL('../../weights/m2-tiny', import.meta.url));

export interface BundledExample {
  readonly image: string; // an absolute path
  readonly question: string;
  readonly system: string;
}

/** The first of the bundled model's examples. */
export async function firstExample(): Promise<BundledExample> {
  const folder = join(BUNDLED_MODEL, 'examples');
  const [example] = JSON.parse(await readFile(join(folder, 'examples.json'), 'utf8'));
  return { image: join(folder, example.image), question: example.question, system: example.system };
}
