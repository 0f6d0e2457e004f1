import { GenerationError } from '../../errors.ts';

const MAX_STRINGS = 64;
const MAX_LENGTH = 1024;

/** Finds stop strings in streamed text. They may begin in one piece of text and end in a later one. */
export class StopStrings {
  readonly #stops: readonly string[];
  /** The end of the text so far that may be the beginning of a stop string. It is not shown yet. */
  #held = '';

  /** @throws GenerationError GEN_RANGE for an empty string, one of more than 1,024 characters, or more than 64 strings */
  constructor(stops: readonly string[]) {
    const wrong = stops.findIndex((stop) => stop === '' || stop.length > MAX_LENGTH);
    if (wrong >= 0 || stops.length > MAX_STRINGS) {
      const field = wrong >= 0 ? `stop[${wrong}]` : 'stop';
      throw new GenerationError('GEN_RANGE', `${field} is invalid`, {
        field,
        hint: `give at most ${MAX_STRINGS} strings of 1 to ${MAX_LENGTH} characters`,
      });
    }
    this.#stops = stops;
  }

  /** @returns the text to show now, up to a stop string, and whether one was found */
  push(piece: string): { readonly text: string; readonly stopped: boolean } {
    const text = this.#held + piece;
    const found = this.#stops.map((stop) => text.indexOf(stop)).filter((index) => index >= 0);
    if (found.length > 0) {
      this.#held = '';
      return { text: text.slice(0, Math.min(...found)), stopped: true };
    }
    const shown = text.length - this.#heldLength(text);
    this.#held = text.slice(shown);
    return { text: text.slice(0, shown), stopped: false };
  }

  /** The text still held back, to show if the text ends without a stop string. */
  end(): string {
    return this.#held;
  }

  /** The length of the longest suffix of `text` that is a prefix of a stop string. */
  #heldLength(text: string): number {
    let longest = 0;
    for (const stop of this.#stops) {
      for (let length = Math.min(stop.length - 1, text.length); length > longest; length--) {
        if (text.endsWith(stop.slice(0, length))) longest = length;
      }
    }
    return longest;
  }
}
