/**
 * Text to token ids and back: Qwen2's byte-level BPE, with special tokens recognised in the text.
 *
 * `@huggingface/tokenizers` does the encoding, after tokenizerFile.ts has checked its input. The bytes of each id, which
 * streaming needs (tokenStream.ts), are found here.
 */
import { Tokenizer as BpeTokenizer } from '@huggingface/tokenizers';
import { checkRuns } from './checkMessages.ts';
import {
  type AddedToken,
  byteOfLetter,
  invalidTokenizer,
  readChatTemplate,
  readTokenizerFile,
} from './tokenizerFile.ts';

/** The part of the library that is used. Its own declarations don't resolve under Node's module rules. */
interface BpeEngine {
  encode(text: string): { ids: number[] };
  decode(ids: number[]): string;
  token_to_id(token: string): number | undefined;
  id_to_token(id: number): string | undefined;
  get_vocab(): Map<string, number>;
}

export class Tokenizer {
  /** The Jinja template in `tokenizer_config.json`; null if there is none. */
  readonly chatTemplate: string | null;
  readonly #bpe: BpeEngine;
  readonly #added: ReadonlyMap<number, AddedToken>;
  /** The file's name in error messages. */
  readonly file: string;

  private constructor(
    bpe: BpeEngine,
    added: readonly AddedToken[],
    chatTemplate: string | null,
    file: string,
  ) {
    this.#bpe = bpe;
    this.#added = new Map(added.map((token) => [token.id, token]));
    this.chatTemplate = chatTemplate;
    this.file = file;
  }

  /**
   * Makes a tokenizer from its files.
   *
   * @param tokenizerJson bytes of `tokenizer.json`: byte-level BPE, at most 64 MiB
   * @param tokenizerConfigJson bytes of `tokenizer_config.json`, for its chat template; null if there is none
   * @param file the name of the first in error messages
   * @throws TokenizerError TOKENIZER_INVALID: not JSON, another kind of tokenizer, a duplicate id or token, a byte without a
   *   token, a merge of parts that are not tokens, or anything that the library refuses
   */
  static fromJson(
    tokenizerJson: Uint8Array,
    tokenizerConfigJson: Uint8Array | null,
    file: string,
  ): Tokenizer {
    const parts = readTokenizerFile(tokenizerJson, file);
    const template = tokenizerConfigJson && readChatTemplate(tokenizerConfigJson, 'tokenizer_config.json');
    try {
      // By default the library removes spaces before punctuation; the reference's tokenizer does not.
      const bpe: BpeEngine = new BpeTokenizer(parts, { clean_up_tokenization_spaces: false });
      return new Tokenizer(bpe, parts.added_tokens, template, file);
    } catch (cause) {
      throw invalidTokenizer(file, (cause as Error).message, cause);
    }
  }

  /**
   * Encodes text. Text that spells a special token becomes that token, even in a user's message. The text is first normalised to
   * NFC, so decoding may give other code points. A lone surrogate becomes U+FFFD.
   *
   * @returns [tokens]
   * @throws InputError INPUT_TOO_LONG for over 64 K characters without a break, which BPE treats as one word; TokenizerError
   *   TOKENIZER_INVALID if the library fails on the text
   *
   * Follows: processing_bailing_qwen2_5.py, __call__
   */
  encode(text: string): number[] {
    checkRuns(text, 'the prompt');
    try {
      return this.#bpe.encode(text).ids;
    } catch (cause) {
      throw invalidTokenizer(this.file, `fails on a text of ${text.length} characters`, cause);
    }
  }

  /**
   * Decodes ids to text.
   *
   * @param ids [tokens]; ids without a token are ignored
   * @param options.skipSpecialTokens leaves out special tokens; default false, as the reference keeps them in answers
   * @returns the text; invalid UTF-8 becomes U+FFFD
   */
  decode(ids: ArrayLike<number>, { skipSpecialTokens = false } = {}): string {
    const known = Array.from(ids).filter(
      (id) => this.#bpe.id_to_token(id) !== undefined && !(skipSpecialTokens && this.isSpecial(id)),
    );
    return known.length === 0 ? '' : this.#bpe.decode(known); // the library refuses an empty list
  }

  /** @returns the id of a token as spelled in the file, e.g. `<image>`; undefined if there is none */
  tokenId(content: string): number | undefined {
    return this.#bpe.token_to_id(content);
  }

  /** @returns the bytes of a token, which may be only part of a character; null for ids without a token */
  tokenBytes(id: number): Uint8Array | null {
    const added = this.#added.get(id);
    if (added !== undefined) return new TextEncoder().encode(added.content);
    const token = this.#bpe.id_to_token(id);
    if (token === undefined) return null;
    // Every letter is known: tokenizerFile.ts has checked it.
    return Uint8Array.from(Array.from(token, (letter) => byteOfLetter.get(letter) ?? 0));
  }

  /** All token ids. */
  get ids(): Iterable<number> {
    return this.#bpe.get_vocab().values();
  }

  /** Whether the file lists it as an added token: all special ones, and e.g. `<tool_call>`. */
  isAdded(id: number): boolean {
    return this.#added.has(id);
  }

  /** Whether the token is special, i.e. `skipSpecialTokens` removes it: `<|im_end|>` is, `<tool_call>` and plain text are not. */
  isSpecial(id: number): boolean {
    return this.#added.get(id)?.special === true;
  }
}
