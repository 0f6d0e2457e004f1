/** `model.safetensors.index.json`: which shard holds which tensor. */
import { CheckpointError } from '../../errors.ts';
import { isJsonObject, parseJson, shownName } from '../../json.ts';
import { assertSafeFileName, type ModelFiles, readAll } from './byteSource.ts';

export const INDEX_FILE = 'model.safetensors.index.json';
const MAX_INDEX_BYTES = 64 * 2 ** 20;

/**
 * Reads the index.
 *
 * @returns the file name of each tensor, checked to be a plain name; null if there is no index
 * @throws CheckpointError CKPT_INDEX_INVALID (not JSON, over 64 MiB, or no weight_map of strings), CKPT_PATH_UNSAFE, or what
 *   `files` throws
 */
export async function readWeightMap(files: ModelFiles): Promise<ReadonlyMap<string, string> | null> {
  const source = await files.open(INDEX_FILE);
  if (source === null) return null;
  const invalid = (what: string, cause?: unknown) =>
    new CheckpointError('CKPT_INDEX_INVALID', `${INDEX_FILE} ${what}`, {
      file: INDEX_FILE,
      cause,
      hint: 'download it again',
    });
  let bytes: Uint8Array;
  try {
    const { sizeBytes } = source;
    if (sizeBytes > MAX_INDEX_BYTES) throw invalid(`has ${sizeBytes} bytes, the limit is ${MAX_INDEX_BYTES}`);
    bytes = await readAll(source);
  } finally {
    await source.close();
  }
  let index: unknown;
  try {
    index = parseJson(bytes);
  } catch (cause) {
    throw invalid(`is not valid JSON (${(cause as SyntaxError).message})`, cause);
  }
  const weightMap = isJsonObject(index) && Object.hasOwn(index, 'weight_map') ? index.weight_map : undefined;
  if (!isJsonObject(weightMap)) throw invalid('has no weight_map that maps tensor names to file names');
  const pairs = Object.entries(weightMap);
  if (pairs.length === 0) throw invalid('has an empty weight_map');
  for (const [tensor, file] of pairs) {
    if (typeof file !== 'string')
      throw invalid(`maps ${shownName(tensor)} to something other than a file name`);
    assertSafeFileName(file, INDEX_FILE);
  }
  return new Map(pairs as [string, string][]);
}
