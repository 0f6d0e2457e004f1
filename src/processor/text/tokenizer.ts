/**
 * Text to token ids and back: byte-level BPE as Qwen2's, with special tokens found inside the text.
 *
 * The merging is done by `@huggingface/tokenizers`, after tokenizerFile.ts has checked what it reads; the bytes behind
 * each id, which streaming needs (see tokenStream.ts), are ours.
 */
import { Tokenizer as BpeTokenizer } from '@huggingface/tokenizers';
import { TokenizerError } from '../../errors.ts';
import { checkRuns } from './checkMessages.ts';
import {
  type AddedToken,
  byteOfLetter,
  invalidTokenizer,
  readChatTemplate,
  readTokenizerFile,
} from './tokenizerFile.ts';

/** The ids of a config that must mean the same in the tokenizer; a whole `LlmConfig` fits. */
export interface SpecialIds {
  readonly imagePatchToken: number;
  readonly imageStartToken: number;
  readonly eosTokenId: number;
  /** Rows of the embedding; ids from there on could not be looked up. */
  readonly vocabSize?: number;
}

/** What is used of the library: its own declarations don't resolve under Node's module rules. */
interface BpeEngine {
  encode(text: string): { ids: number[] };
  decode(ids: number[]): string;
  token_to_id(token: string): number | undefined;
  id_to_token(id: number): string | undefined;
  get_vocab(): Map<string, number>;
}

export class Tokenizer {
  /** Jinja text of `tokenizer_config.json`, if it has one. */
  readonly chatTemplate: string | null;
  readonly #bpe: BpeEngine;
  readonly #added: ReadonlyMap<number, AddedToken>;
  readonly #file: string;

  private constructor(
    bpe: BpeEngine,
    added: readonly AddedToken[],
    chatTemplate: string | null,
    file: string,
  ) {
    this.#bpe = bpe;
    this.#added = new Map(added.map((token) => [token.id, token]));
    this.chatTemplate = chatTemplate;
    this.#file = file;
  }

  /**
   * @param tokenizerJson bytes of `tokenizer.json`: BPE over bytes, at most 64 MB
   * @param tokenizerConfigJson bytes of `tokenizer_config.json`, read for its chat template only; null if there is none
   * @param file what error messages call the first
   * @throws TokenizerError TOKENIZER_INVALID: not JSON, another kind of tokenizer, an id or token given twice, a byte
   *   without a token, a merge of parts that are no tokens, or whatever the library refuses
   */
  static fromJson(
    tokenizerJson: Uint8Array,
    tokenizerConfigJson: Uint8Array | null,
    file: string,
  ): Tokenizer {
    const parts = readTokenizerFile(tokenizerJson, file);
    const template = tokenizerConfigJson && readChatTemplate(tokenizerConfigJson, 'tokenizer_config.json');
    try {
      // By default the library tidies spaces around punctuation; the reference's tokenizer leaves them.
      const bpe: BpeEngine = new BpeTokenizer(parts, { clean_up_tokenization_spaces: false });
      return new Tokenizer(bpe, parts.added_tokens, template, file);
    } catch (cause) {
      throw invalidTokenizer(file, (cause as Error).message, cause);
    }
  }

  /**
   * Text that spells a special token becomes that token, whoever wrote it. NFC comes first, so that decoding may
   * give other code points than went in; a lone surrogate becomes U+FFFD.
   *
   * @returns [tokens]
   * @throws InputError INPUT_TOO_LONG: over 64 K characters without a break, which BPE takes as one word;
   *   TokenizerError TOKENIZER_INVALID: the library fails on the text
   *
   * Follows: processing_bailing_qwen2_5.py, __call__
   */
  encode(text: string): number[] {
    checkRuns(text, 'the prompt');
    try {
      return this.#bpe.encode(text).ids;
    } catch (cause) {
      throw invalidTokenizer(this.#file, `fails on a text of ${text.length} characters`, cause);
    }
  }

  /**
   * @param ids [tokens]; ids without a token decode to nothing
   * @param options.skipSpecialTokens leaves special tokens out; the reference keeps them in answers (default false)
   * @returns the text; bytes that are no UTF-8 become U+FFFD
   */
  decode(ids: ArrayLike<number>, { skipSpecialTokens = false } = {}): string {
    const known = Array.from(ids).filter(
      (id) => this.#bpe.id_to_token(id) !== undefined && !(skipSpecialTokens && this.isSpecial(id)),
    );
    return known.length === 0 ? '' : this.#bpe.decode(known); // the library refuses an empty list
  }

  /** @returns the id of a whole token as the file spells it, e.g. `<image>` */
  tokenId(content: string): number | undefined {
    return this.#bpe.token_to_id(content);
  }

  /** @returns the bytes that an id stands for, which may be a part of a character; null without a token */
  tokenBytes(id: number): Uint8Array | null {
    const added = this.#added.get(id);
    if (added !== undefined) return new TextEncoder().encode(added.content);
    const token = this.#bpe.id_to_token(id);
    if (token === undefined) return null;
    // No letter is missing: tokenizerFile.ts has checked them.
    return Uint8Array.from(Array.from(token, (letter) => byteOfLetter.get(letter) ?? 0));
  }

  /** Whether decoding may leave the id out: `<|im_end|>` is special, `<tool_call>` and plain text are not. */
  isSpecial(id: number): boolean {
    return this.#added.get(id)?.special === true;
  }

  /**
   * Compares the special tokens with what the model's config says of them.
   *
   * @throws TokenizerError TOKENIZER_SPECIAL_MISSING: a token that prompts are built of is not there;
   *   TOKENIZER_SPECIAL_MISMATCH: it has another id than in the config, or the end token is no special token;
   *   TOKENIZER_INVALID: an id is past the embedding's rows
   */
  checkSpecials(expected: SpecialIds): void {
    const { imagePatchToken, imageStartToken, eosTokenId, vocabSize = Infinity } = expected;
    const wanted = [
      ['<|im_start|>', null, ''],
      ['<|im_end|>', null, ''],
      ['<image>', imageStartToken, 'image_start_token'],
      ['<imagePatch>', imagePatchToken, 'image_patch_token'],
      ['</image>', null, ''],
    ] as const;
    for (const [content, configured, field] of wanted) {
      const id = this.tokenId(content);
      if (id === undefined || !this.#added.has(id)) {
        throw new TokenizerError('TOKENIZER_SPECIAL_MISSING', `${this.#file}: no special token ${content}`, {
          file: this.#file,
          expected: content,
          hint: 'take the tokenizer that belongs to this checkpoint',
        });
      }
      if (configured !== null && configured !== id) {
        this.#mismatch(`llm_config.${field}`, configured, content, id);
      }
    }
    if (!this.isSpecial(eosTokenId)) {
      this.#mismatch('llm_config.eos_token_id', eosTokenId, '<|im_end|>', this.tokenId('<|im_end|>'));
    }
    for (const id of this.#bpe.get_vocab().values()) {
      if (id < vocabSize) continue;
      throw invalidTokenizer(this.#file, `token id ${id} is past llm_config.vocab_size ${vocabSize}`);
    }
  }

  #mismatch(field: string, configured: number, content: string, id: number | undefined): never {
    throw new TokenizerError(
      'TOKENIZER_SPECIAL_MISMATCH',
      `config.json: ${field} is ${configured}, in ${this.#file} ${content} is ${id}`,
      { file: this.#file, field, expected: id, actual: configured, hint: 'take both from one checkpoint' },
    );
  }
}
