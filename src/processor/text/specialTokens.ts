/** Checks a tokenizer's special tokens against the model's config. */
import { TokenizerError } from '../../errors.ts';
import type { Tokenizer } from './tokenizer.ts';
import { invalidTokenizer } from './tokenizerFile.ts';

/** The ids in a model's config that must agree with the tokenizer. An `LlmConfig` has them. */
export interface SpecialIds {
  readonly imagePatchToken: number;
  readonly imageStartToken: number;
  readonly eosTokenId: number;
  /** Rows of the token embedding: all ids must be smaller. */
  readonly vocabSize?: number;
}

/**
 * @throws TokenizerError TOKENIZER_SPECIAL_MISSING if a token that prompts need is missing; TOKENIZER_SPECIAL_MISMATCH if its id
 *   differs from the config, or the end token is not a special token; TOKENIZER_INVALID if an id exceeds the embedding
 */
export function checkSpecials(tokenizer: Tokenizer, expected: SpecialIds): void {
  const { file } = tokenizer;
  const { imagePatchToken, imageStartToken, eosTokenId, vocabSize = Infinity } = expected;
  const wanted = [
    ['<|im_start|>', null, ''],
    ['<|im_end|>', null, ''],
    ['<image>', imageStartToken, 'image_start_token'],
    ['<imagePatch>', imagePatchToken, 'image_patch_token'],
    ['</image>', null, ''],
  ] as const;
  for (const [content, configured, field] of wanted) {
    const id = tokenizer.tokenId(content);
    if (id === undefined || !tokenizer.isAdded(id)) {
      throw new TokenizerError('TOKENIZER_SPECIAL_MISSING', `${file}: no special token ${content}`, {
        file,
        expected: content,
        hint: 'use the tokenizer of this checkpoint',
      });
    }
    if (configured !== null && configured !== id) {
      throw mismatch(file, `llm_config.${field}`, configured, content, id);
    }
  }
  if (!tokenizer.isSpecial(eosTokenId)) {
    const id = tokenizer.tokenId('<|im_end|>');
    throw mismatch(file, 'llm_config.eos_token_id', eosTokenId, '<|im_end|>', id);
  }
  for (const id of tokenizer.ids) {
    if (id < vocabSize) continue;
    throw invalidTokenizer(file, `token id ${id} exceeds llm_config.vocab_size ${vocabSize}`);
  }
}

function mismatch(
  file: string,
  field: string,
  configured: number,
  content: string,
  id: number | undefined,
): TokenizerError {
  return new TokenizerError(
    'TOKENIZER_SPECIAL_MISMATCH',
    `config.json: ${field} is ${configured}, but in ${file} ${content} is ${id}`,
    { file, field, expected: id, actual: configured, hint: 'take both files from one checkpoint' },
  );
}
