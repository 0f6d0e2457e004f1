/** Dims the reasoning in a streamed answer on a terminal. */

const OPEN = '<think>';
const CLOSE = '</think>';
const DIM = '\x1b[2m';
const NOT_DIM = '\x1b[22m';

/**
 * Styles one answer piece by piece: the text between `<think>` and `</think>`, including the tags, is dimmed. Tags may span
 * pieces. Each returned piece ends undimmed, so that text written between two pieces looks normal.
 */
export class ThinkingStyle {
  #thinks = false;
  /** The end of the text so far, if it may be the beginning of the next tag. */
  #held = '';

  /** @returns the text that is certain so far, with ANSI codes; may be empty */
  push(piece: string): string {
    let rest = this.#held + piece;
    let styled = '';
    for (let at = rest.indexOf(this.#nextTag); at >= 0; at = rest.indexOf(this.#nextTag)) {
      const end = this.#thinks ? at + CLOSE.length : at; // an opening tag belongs to the reasoning
      styled += this.#style(rest.slice(0, end));
      rest = rest.slice(end);
      this.#thinks = !this.#thinks;
    }
    const certain = rest.length - overlap(rest, this.#nextTag);
    this.#held = rest.slice(certain);
    return styled + this.#style(rest.slice(0, certain));
  }

  /** @returns the rest of the answer: the beginning of an incomplete tag */
  end(): string {
    const held = this.#held;
    this.#held = '';
    return this.#style(held);
  }

  get #nextTag(): string {
    return this.#thinks ? CLOSE : OPEN;
  }

  #style(text: string): string {
    return this.#thinks && text !== '' ? DIM + text + NOT_DIM : text;
  }
}

/** @returns the length of the longest suffix of `text` that is a prefix of `tag`; `text` must not contain `tag` */
function overlap(text: string, tag: string): number {
  let length = Math.min(text.length, tag.length - 1);
  while (length > 0 && !text.endsWith(tag.slice(0, length))) length--;
  return length;
}
