/** Text as it grows, token by token. */
import type { Tokenizer } from './tokenizer.ts';

/**
 * Decodes an answer while it is being generated and never shows half a character.
 *
 * A token is a run of bytes, and a character may be spread over several tokens:
 *
 * ```
 *   push(id)   bytes of the id    shown
 *   H          48                 H
 *   ð          f0 9f              (nothing: two of four bytes)
 *   ĺĢ         98 80              😀
 * ```
 *
 * The shown pieces joined are what `Tokenizer.decode` gives for all ids at once. Special tokens are shown, as the
 * reference shows them.
 */
export class TokenStream {
  readonly #tokenizer: Pick<Tokenizer, 'tokenBytes'>;
  // ignoreBOM means: keep it. The default would swallow a U+FEFF at the start.
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });

  constructor(tokenizer: Pick<Tokenizer, 'tokenBytes'>) {
    this.#tokenizer = tokenizer;
  }

  /** @returns the text that `id` completes; '' while a character is cut, and for ids without a token */
  push(id: number): string {
    const bytes = this.#tokenizer.tokenBytes(id);
    return bytes === null ? '' : this.#decoder.decode(bytes, { stream: true });
  }

  /** @returns U+FFFD if the answer stopped inside a character, else ''; the stream can then start anew */
  end(): string {
    return this.#decoder.decode();
  }
}
