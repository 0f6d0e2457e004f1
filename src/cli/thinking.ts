/** Shows the reasoning of an answer dimmed on a terminal, while the answer is still coming. */

const OPEN = '<think>';
const CLOSE = '</think>';
const DIM = '\x1b[2m';
const NOT_DIM = '\x1b[22m';

/**
 * Styles one answer piece by piece: what stands between `<think>` and `</think>` is dimmed, tags included. A tag may be cut
 * across pieces. Every piece that comes out ends undimmed, so whatever is written between two of them looks as usual.
 */
export class ThinkingStyle {
  #thinks = false;
  /** The end of what came so far, where it may be the beginning of the next tag. */
  #held = '';

  /** @returns what is certain so far, with ANSI codes; may be empty */
  push(piece: string): string {
    let rest = this.#held + piece;
    let styled = '';
    for (let at = rest.indexOf(this.#nextTag); at >= 0; at = rest.indexOf(this.#nextTag)) {
      const end = this.#thinks ? at + CLOSE.length : at; // an opening tag is already part of the thinking
      styled += this.#style(rest.slice(0, end));
      rest = rest.slice(end);
      this.#thinks = !this.#thinks;
    }
    const certain = rest.length - overlap(rest, this.#nextTag);
    this.#held = rest.slice(certain);
    return styled + this.#style(rest.slice(0, certain));
  }

  /** @returns the rest of the answer: the beginning of a tag that never ended */
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

/** @returns how many characters at the end of `text` are the beginning of `tag`, which `text` does not hold whole */
function overlap(text: string, tag: string): number {
  let length = Math.min(text.length, tag.length - 1);
  while (length > 0 && !text.endsWith(tag.slice(0, length))) length--;
  return length;
}
