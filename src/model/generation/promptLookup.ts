/** Guesses the next tokens from an earlier occurrence of the last few tokens. docs/MODEL.md, section 7. */
import { FEW_ROWS } from '../graph/linear.ts';

const LONGEST_NGRAM = 4;
const SHORTEST_NGRAM = 3;
const MIN_DRAFT = 3;
const MAX_DRAFT = FEW_ROWS - 1; // the verifying pass also feeds the token before the draft
/** Target for the share of failed passes, i.e. of those that verified a draft without a right token. */
const FAILED_SHARE = 0.03;

/**
 * The next draft is about as long as the right part of the last one, and as long as possible if all of that was right. After a
 * draft without a right token there is a pause, until failed passes are a small share of all passes again.
 *
 * Follows: llama.cpp, examples/lookup (n-grams of the text itself); onnxruntime-genai's cool-down
 */
export class PromptLookup {
  readonly #tokens: number[];
  readonly #promptLength: number;
  #draftLength = MAX_DRAFT;
  #failed = 0;
  #saved = 0;

  constructor(promptIds: readonly number[]) {
    this.#tokens = [...promptIds];
    this.#promptLength = promptIds.length;
  }

  /** The number of tokens to choose before the next draft; 0: a draft may be made now. */
  get pause(): number {
    // A saved pass makes up for a failed one. The next draft may fail too, hence debt + 1; without debt there is no pause.
    const debt = this.#failed - this.#saved;
    if (debt <= 0) return 0;
    return Math.max(0, Math.ceil((debt + 1) / FAILED_SHARE) - (this.#tokens.length - this.#promptLength));
  }

  /**
   * @param most maximum number of tokens
   * @returns the tokens after the last earlier occurrence of the n-gram that ends the text, with n as large as possible; empty if
   *   there is none or during a pause
   */
  draft(most: number): readonly number[] {
    if (this.pause > 0) return [];
    const text = this.#tokens;
    const length = Math.min(most, this.#draftLength);
    for (let size = LONGEST_NGRAM; size >= SHORTEST_NGRAM; size--) {
      const begin = this.#lastOccurrence(size);
      if (begin >= 0) return text.slice(begin + size, begin + size + length);
    }
    return [];
  }

  /** Adds chosen tokens. @param drafted length of the draft that was verified to get them; 0: there was none */
  add(tokens: readonly number[], drafted: number): void {
    this.#tokens.push(...tokens);
    if (drafted === 0) return;
    const right = tokens.length - 1;
    this.#saved += right;
    if (right === 0) this.#failed++;
    if (right === drafted) this.#draftLength = MAX_DRAFT;
    else this.#draftLength = Math.max(MIN_DRAFT, Math.min(MAX_DRAFT, right + 1));
  }

  /** The index of the last earlier occurrence of the text's final `size` tokens; -1: none. */
  #lastOccurrence(size: number): number {
    const text = this.#tokens;
    const tail = text.length - size;
    for (let begin = tail - 1; begin >= 0; begin--) {
      let same = 0;
      while (same < size && text[begin + same] === text[tail + same]) same++;
      if (same === size) return begin;
    }
    return -1;
  }
}
