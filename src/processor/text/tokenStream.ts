/** Decodes text token by token. */
import type { Tokenizer } from './tokenizer.ts';

/**
 * Decodes an answer while it is generated, without ever returning half a character.
 *
 * A token is a sequence of bytes, and a character may span several tokens:
 *
 * ```
 *   push(id)   bytes of the id    shown
 *   H          48                 H
 *   ð          f0 9f              (nothing: two of four bytes)
 *   ĺĢ         98 80              😀
 * ```
 *
 * Joined together, the pieces equal `Tokenizer.decode` of all ids. Special tokens are included, as in the reference.
 */
export class TokenStream {
  readonly #tokenizer: Pick<Tokenizer, 'tokenBytes'>;
  // ignoreBOM keeps a U+FEFF at the start; by default it would be removed.
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });

  constructor(tokenizer: Pick<Tokenizer, 'tokenBytes'>) {
    this.#tokenizer = tokenizer;
  }

  /** @returns the text that `id` completes; '' while a character is incomplete, and for ids without a token */
  push(id: number): string {
    const bytes = this.#tokenizer.tokenBytes(id);
    return bytes === null ? '' : this.#decoder.decode(bytes, { stream: true });
  }

  /** Resets the stream. @returns U+FFFD if the text ended inside a character, else '' */
  end(): string {
    return this.#decoder.decode();
  }
}
