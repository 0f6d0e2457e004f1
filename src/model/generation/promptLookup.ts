/** Guesses what comes next from what stood behind the same few tokens before. docs/MODEL.md, section 7. */
import { FEW_ROWS } from '../graph/linear.ts';

const LONGEST_NGRAM = 4;
const SHORTEST_NGRAM = 3;
const MIN_DRAFT = 3;
const MAX_DRAFT = FEW_ROWS - 1; // the pass that verifies feeds the token before the draft, too
/** Share of all passes that may have verified a draft of which nothing was right. */
const FAILED_SHARE = 0.03;

/**
 * Drafts are as long as the last one turned out well: a draft that was all right makes the next one longer, one of which nothing
 * was right is followed by a pause in which the failed passes become a small share of all again.
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

  /** Tokens to choose without a draft before it is worth to ask for one: 0, now. */
  get pause(): number {
    // Each pass that a draft saved pays for one that failed; the first failure is on the house.
    const debt = this.#failed - this.#saved;
    if (debt <= 0) return 0;
    return Math.max(0, Math.ceil((debt + 1) / FAILED_SHARE) - (this.#tokens.length - this.#promptLength));
  }

  /**
   * @param most tokens that the draft may have
   * @returns what stood behind the last occurrence of the longest n-gram that the text ends with; empty when there is none
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

  /** @param tokens that were chosen; @param drafted how many of them a draft had guessed at most: 0, there was none */
  add(tokens: readonly number[], drafted: number): void {
    this.#tokens.push(...tokens);
    if (drafted === 0) return;
    const right = tokens.length - 1;
    this.#saved += right;
    if (right === 0) this.#failed++;
    if (right === drafted) this.#draftLength = MAX_DRAFT;
    else this.#draftLength = Math.max(MIN_DRAFT, Math.min(MAX_DRAFT, right + 1));
  }

  /** Where the n-gram of `size` tokens that the text ends with stood before; -1: nowhere. */
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
