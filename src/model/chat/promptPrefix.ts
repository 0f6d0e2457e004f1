/** Finds how much of a prompt is already in a cache. */
import type { Positions } from '../graph/positions.ts';

/** The part of a prompt that belongs to one image. */
export interface ImageRows {
  /** See `contentKey`. */
  readonly key: string;
  /** The number of its merged tokens, i.e. of its patch tokens in the prompt. */
  readonly merged: number;
}

/** A key for each token of a prompt: where two prompts have the same leading keys, their cached keys and values are the same. */
export interface TokenKeys {
  /** [tokens] */
  readonly keys: readonly string[];
  /** Indices of the first and the last patch token of each image. */
  readonly spans: readonly (readonly [first: number, last: number])[];
}

/**
 * Writes a token's inputs to the decoder as a string: its id, its position and, for a patch token, image and row.
 *
 * ```
 * 7 5 5 5                a text token with id 7 at position (5, 5, 5)
 * 9 6 6 7 ab12 4x4[1]    a patch token with id 9 at (6, 6, 7) that gets row 1 of an image's features
 * ```
 */
export function tokenKeys(
  inputIds: readonly number[],
  { positionIds }: Positions,
  images: readonly ImageRows[],
  imagePatchToken: number,
): TokenKeys {
  const tokens = inputIds.length;
  const rows = images.flatMap(({ key, merged }) =>
    Array.from({ length: merged }, (_, row) => `${key}[${row}]`),
  );
  const places: number[] = []; // indices of the patch tokens
  const keys = inputIds.map((id, i) => {
    const text = textKey(id, positionIds[i], positionIds[tokens + i], positionIds[2 * tokens + i]);
    return id === imagePatchToken ? `${text} ${rows[places.push(i) - 1]}` : text;
  });
  let next = 0;
  const spans = images.map(({ merged }) => {
    const first = next;
    next += merged;
    return [places[first], places[next - 1]] as const;
  });
  return { keys, spans };
}

/** The key of a text token. */
export function textKey(id: number, t: number, row: number, col: number): string {
  return `${id} ${t} ${row} ${col}`;
}

/**
 * The number of leading prompt tokens that need no prefill: those in the cache. The last prompt token always needs it, for its
 * logits. An image is never split, because its rows enter the prompt together.
 *
 * @param held the keys of the tokens in the cache
 */
export function reusableTokens(held: readonly string[], { keys, spans }: TokenKeys): number {
  const most = Math.min(held.length, keys.length - 1);
  let reuse = 0;
  while (reuse < most && held[reuse] === keys[reuse]) reuse++;
  const cut = spans.find(([first, last]) => first < reuse && reuse <= last);
  return cut ? cut[0] : reuse;
}
