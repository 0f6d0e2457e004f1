/** Checks an untrusted `tokenizer.json`: everything that encoding and decoding rely on. */
import { TokenizerError } from '../../errors.ts';
import { parseJson } from '../../json.ts';

/** The 7B's tokenizer.json has 7 MB. */
const MAX_TOKENIZER_BYTES = 64 * 2 ** 20;
const MAX_TOKEN_ID = 2 ** 24;

/** A token that is recognised in the text before BPE. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special?: boolean;
}

/** The parts of `tokenizer.json` that the library reads, under its names. */
export interface TokenizerFile {
  readonly added_tokens: readonly AddedToken[];
  readonly normalizer: unknown;
  readonly pre_tokenizer: JsonRecord;
  readonly model: JsonRecord;
  readonly post_processor: unknown;
  readonly decoder: JsonRecord;
}

type JsonRecord = Record<string, unknown>;

/**
 * Byte-level BPE writes each byte as one letter: printable Latin-1 bytes as themselves, the others in order as the letters from
 * U+0100 on (a space is `Ġ`, a newline `Ċ`).
 */
export const byteOfLetter: ReadonlyMap<string, number> = byteLevelAlphabet();

function byteLevelAlphabet(): Map<string, number> {
  const byteOf = new Map<string, number>();
  let nextLetter = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad);
    byteOf.set(String.fromCharCode(printable ? byte : nextLetter++), byte);
  }
  return byteOf;
}

/**
 * Parses and checks the file.
 *
 * @param bytes of `tokenizer.json`, at most 64 MiB
 * @param file the file's name in error messages
 * @throws TokenizerError TOKENIZER_INVALID, as `Tokenizer.fromJson`
 */
export function readTokenizerFile(bytes: Uint8Array, file: string): TokenizerFile {
  const parts = readJsonObject(bytes, file);
  const model = recordAt(parts.model, 'model', file);
  const preTokenizer = recordAt(parts.pre_tokenizer, 'pre_tokenizer', file);
  const decoder = recordAt(parts.decoder, 'decoder', file);
  const added = checkAddedTokens(parts.added_tokens ?? [], file);
  checkModelKind(model, file);
  const vocab = checkVocab(recordAt(model.vocab, 'model.vocab', file), added, file);
  checkMerges(model.merges, vocab, file);
  checkByteLevel(preTokenizer, decoder, file);
  return {
    added_tokens: added,
    normalizer: parts.normalizer ?? null,
    pre_tokenizer: preTokenizer,
    model,
    post_processor: parts.post_processor ?? null,
    decoder,
  };
}

/**
 * Reads the chat template.
 *
 * @param bytes of `tokenizer_config.json`
 * @returns the chat template; if there are several, the one named `default`; null if there is none
 * @throws TokenizerError TOKENIZER_INVALID
 */
export function readChatTemplate(bytes: Uint8Array, file: string): string | null {
  const template = readJsonObject(bytes, file).chat_template ?? null;
  if (template === null || typeof template === 'string') return template;
  const named = Array.isArray(template) ? template.find((entry) => entry?.name === 'default') : undefined;
  if (typeof named?.template === 'string') return named.template;
  throw invalidTokenizer(file, 'chat_template is neither text nor a list with a default one');
}

/** The error TOKENIZER_INVALID. */
export function invalidTokenizer(file: string, what: string, cause?: unknown): TokenizerError {
  const hint = 'download the file again; only byte-level BPE as in Qwen2 is supported';
  return new TokenizerError('TOKENIZER_INVALID', `${file}: ${what}`, { file, cause, hint });
}

function checkAddedTokens(list: unknown, file: string): readonly AddedToken[] {
  if (!Array.isArray(list)) throw invalidTokenizer(file, 'added_tokens is not a list');
  const seen = new Set<number | string>();
  for (const token of list) {
    const { id, content } = token ?? {};
    if (!isTokenId(id) || typeof content !== 'string' || content === '') {
      throw invalidTokenizer(file, `added_tokens gives ${JSON.stringify(content)} the id ${id}`);
    }
    if (seen.has(id) || seen.has(content)) {
      throw invalidTokenizer(file, `added token ${content} or its id ${id} occurs twice`);
    }
    seen.add(id).add(content);
  }
  return list;
}

function checkModelKind(model: JsonRecord, file: string): void {
  if ((model.type ?? 'BPE') !== 'BPE') throw invalidTokenizer(file, `model.type is ${model.type}, not BPE`);
  const foreign = [
    'continuing_subword_prefix',
    'end_of_word_suffix',
    'byte_fallback',
    'unk_token',
    'dropout',
  ];
  const used = foreign.find((key) => model[key]);
  if (used !== undefined)
    throw invalidTokenizer(file, `model.${used} is set, but Qwen2's tokenizer leaves it empty`);
}

function checkVocab(vocab: JsonRecord, added: readonly AddedToken[], file: string): ReadonlySet<string> {
  const idOfAdded = new Map(added.map(({ id, content }) => [content, id]));
  const tokenOfId = new Map(added.map(({ id, content }) => [id, content]));
  const tokens = new Set<string>();
  for (const [token, id] of Object.entries(vocab)) {
    const shown = JSON.stringify(token);
    if (!isTokenId(id)) throw invalidTokenizer(file, `model.vocab gives ${shown} the id ${id}`);
    const other = tokenOfId.get(id) ?? token;
    if (other !== token) {
      throw invalidTokenizer(file, `token id ${id} belongs to ${shown} and to ${JSON.stringify(other)}`);
    }
    if ((idOfAdded.get(token) ?? id) !== id) {
      throw invalidTokenizer(file, `${shown} has id ${id} and, as an added token, ${idOfAdded.get(token)}`);
    }
    if (!idOfAdded.has(token) && !Array.from(token).every((letter) => byteOfLetter.has(letter))) {
      throw invalidTokenizer(file, `model.vocab: ${shown} is not written in byte letters`);
    }
    tokenOfId.set(id, token);
    tokens.add(token);
  }
  for (const [letter, byte] of byteOfLetter) {
    if (tokens.has(letter)) continue;
    throw invalidTokenizer(file, `no token for byte 0x${byte.toString(16).padStart(2, '0')}`);
  }
  return tokens;
}

/** A merge is `["h", "e"]`, in older files `"h e"`. */
function checkMerges(merges: unknown, vocab: ReadonlySet<string>, file: string): void {
  if (!Array.isArray(merges)) throw invalidTokenizer(file, 'model.merges is not a list');
  for (const merge of merges) {
    const pair = typeof merge === 'string' ? merge.split(' ') : merge;
    const known = Array.isArray(pair) && pair.length === 2 && pair.every((part) => vocab.has(part));
    if (!known || !vocab.has(pair.join(''))) {
      throw invalidTokenizer(
        file,
        `model.merges has ${JSON.stringify(merge)}, whose parts or result are not tokens`,
      );
    }
  }
}

/** Encoding must convert bytes to letters, and decoding must convert them back. */
function checkByteLevel(preTokenizer: JsonRecord, decoder: JsonRecord, file: string): void {
  const { pretokenizers } = preTokenizer;
  const steps = Array.isArray(pretokenizers) ? pretokenizers : [preTokenizer];
  if (!steps.some((step) => step?.type === 'ByteLevel') || decoder.type !== 'ByteLevel') {
    throw invalidTokenizer(file, 'pre_tokenizer and decoder must be ByteLevel');
  }
}

function readJsonObject(bytes: Uint8Array, file: string): JsonRecord {
  if (bytes.byteLength > MAX_TOKENIZER_BYTES) {
    throw invalidTokenizer(file, `${bytes.byteLength} bytes, the limit is ${MAX_TOKENIZER_BYTES}`);
  }
  let value: unknown;
  try {
    value = parseJson(bytes);
  } catch (cause) {
    throw invalidTokenizer(file, `not valid JSON (${(cause as Error).message})`, cause);
  }
  return recordAt(value, 'the outermost value', file);
}

function recordAt(value: unknown, path: string, file: string): JsonRecord {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonRecord;
  throw invalidTokenizer(file, `${path} is not a JSON object`);
}

function isTokenId(id: unknown): id is number {
  return Number.isInteger(id) && (id as number) >= 0 && (id as number) < MAX_TOKEN_ID;
}
