/** How much of a prompt a cache holds already. */
import type { Positions } from '../graph/positions.ts';

/** What one image puts into a prompt. */
export interface ImageRows {
  /** See `contentKey`. */
  readonly key: string;
  /** Merged tokens: as many patch tokens of the prompt are its own, the next ones in order. */
  readonly merged: number;
}

/** A prompt, token by token, as far as keys and values depend on it. */
export interface TokenKeys {
  /** [tokens]: up to where two lists agree, the decoder computes the same. */
  readonly keys: readonly string[];
  /** First and last patch token of each image. */
  readonly spans: readonly (readonly [first: number, last: number])[];
}

/**
 * Writes down of each token what the decoder is told of it: id, positions and, of a patch token, image and row.
 *
 * ```
 * 7 5 5 5                a text token with id 7 that stands at (5, 5, 5)
 * 9 6 6 7 ab12 4x4[1]    a patch token with id 9 at (6, 6, 7) that gets row 1 of an image
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
  const places: number[] = []; // of the patch tokens
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

/** Of a token that stands for itself, not for a part of an image. */
export function textKey(id: number, t: number, row: number, col: number): string {
  return `${id} ${t} ${row} ${col}`;
}

/**
 * How many tokens of a prompt need no prefill: those that the cache holds, but not the last, as the answer's first token is chosen
 * from its logits, and no part of an image: its rows go into the prompt together.
 *
 * @param held of the tokens in the cache
 */
export function reusableTokens(held: readonly string[], { keys, spans }: TokenKeys): number {
  const most = Math.min(held.length, keys.length - 1);
  let reuse = 0;
  while (reuse < most && held[reuse] === keys[reuse]) reuse++;
  const cut = spans.find(([first, last]) => first < reuse && reuse <= last);
  return cut ? cut[0] : reuse;
}
