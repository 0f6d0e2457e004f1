/** The context size of a generation. */
import { GenerationError, InputError } from '../../errors.ts';

/**
 * The maximum number of tokens of prompt and answer together.
 *
 * @param asked the option `context`
 * @throws GenerationError GEN_RANGE (`context`); InputError INPUT_CONTEXT_OVERFLOW if the prompt leaves no room
 */
export function contextFor(
  promptTokens: number,
  maxNewTokens: number,
  asked: number | undefined,
  maxPositionEmbeddings: number,
): number {
  if (asked !== undefined) assertPositiveInteger('context', asked);
  const context = Math.min(asked ?? promptTokens + maxNewTokens, maxPositionEmbeddings);
  if (promptTokens < context) return context;
  throw new InputError(
    'INPUT_CONTEXT_OVERFLOW',
    `the prompt has ${promptTokens} tokens, the context ${context}: no room for an answer`,
    {
      field: 'messages',
      expected: context,
      actual: promptTokens,
      hint: `shorten the text, scale pictures down with maxPixels, or give a larger context (at most ${maxPositionEmbeddings})`,
    },
  );
}

/** @throws GenerationError GEN_RANGE */
export function assertPositiveInteger(field: string, value: number): void {
  if (Number.isSafeInteger(value) && value > 0) return;
  throw new GenerationError('GEN_RANGE', `${field} is ${value}`, {
    field,
    actual: value,
    hint: 'give a whole number of at least 1',
  });
}
