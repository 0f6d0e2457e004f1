/** Options that inspect or control decoding: log-probabilities, a hook for logits, drafts, steps per wait. */
import { GenerationError } from '../../errors.ts';
import type { LlmConfig } from '../checkpoint/config.ts';
import { type ResolvedOptions, rangeError } from './samplingOptions.ts';
import { MAX_STEPS } from './sequence.ts';

/** The token ids so far, for a `LogitsProcessor`. */
export interface LogitsContext {
  readonly promptIds: readonly number[];
  /** The tokens of the answer so far. */
  readonly answerIds: readonly number[];
}

/**
 * Changes the next token's logits [vocabSize] f32 in place. It is called after the penalties and before temperature and limits,
 * like a `logits_processor` of transformers. -Infinity bans a token. An error that it throws ends the answer.
 */
export type LogitsProcessor = (logits: Float32Array, context: LogitsContext) => void | Promise<void>;

export interface ControlOptions {
  /** Adds to the result each token's log-probability and those of this many most likely tokens, 0 to 20. Default: none. */
  readonly logprobs?: number;
  /** Changes the logits on the host. Costs a copy of the logits to the host and back for each token. */
  readonly logitsProcessor?: LogitsProcessor;
  /**
   * Guesses the next tokens from an earlier occurrence of the last few tokens, and verifies several in one pass. This saves
   * passes when the answer repeats the prompt or itself. Only for greedy decoding without penalties.
   */
  readonly promptLookup?: boolean;
  /** Decode steps between two waits for the GPU, 1 to 64. Default: as many as take 20 ms. Does not change the tokens. */
  readonly stepsPerWait?: number;
}

export interface ResolvedControl {
  readonly logprobs: number | null;
  readonly logitsProcessor: LogitsProcessor | null;
  readonly promptLookup: boolean;
  readonly stepsPerWait: number | null;
}

const MAX_LOGPROBS = 20;

/** Checks the options and applies defaults. @throws GenerationError GEN_RANGE with the option's name in `details.field` */
export function resolveControl(
  { logprobs, logitsProcessor, promptLookup = false, stepsPerWait }: ControlOptions,
  choice: Omit<ResolvedOptions, 'endTokens' | 'maxNewTokens' | 'seed'>,
  { vocabSize }: Pick<LlmConfig, 'vocabSize'>,
): ResolvedControl {
  checkCount('logprobs', logprobs, 0, Math.min(MAX_LOGPROBS, vocabSize));
  checkCount('stepsPerWait', stepsPerWait, 1, MAX_STEPS);
  if (typeof promptLookup !== 'boolean') throw rangeError('promptLookup', promptLookup, 'true or false');
  if (logitsProcessor !== undefined && typeof logitsProcessor !== 'function') {
    throw rangeError('logitsProcessor', logitsProcessor, 'a function');
  }
  const used = { logprobs: logprobs !== undefined, logitsProcessor: logitsProcessor !== undefined };
  for (const field of ['logprobs', 'logitsProcessor', 'promptLookup'] as const) {
    const isOn = field === 'promptLookup' ? promptLookup : used[field];
    if (isOn && choice.numBeams > 1) throw conflict(field, `numBeams is ${choice.numBeams}`);
  }
  if (promptLookup) {
    const hindrance = hindranceToDrafts(choice, used);
    if (hindrance !== null) throw conflict('promptLookup', hindrance);
  }
  return {
    logprobs: logprobs ?? null,
    logitsProcessor: logitsProcessor ?? null,
    promptLookup,
    stepsPerWait: stepsPerWait ?? null,
  };
}

/** Drafts are verified by the largest logit alone. @returns the option that conflicts with that, or null */
function hindranceToDrafts(
  choice: Omit<ResolvedOptions, 'endTokens' | 'maxNewTokens' | 'seed'>,
  used: { readonly logprobs: boolean; readonly logitsProcessor: boolean },
): string | null {
  if (choice.doSample) return 'tokens are sampled';
  if (choice.repetitionPenalty !== 1) return `repetitionPenalty is ${choice.repetitionPenalty}`;
  if (choice.presencePenalty !== 0) return `presencePenalty is ${choice.presencePenalty}`;
  if (choice.frequencyPenalty !== 0) return `frequencyPenalty is ${choice.frequencyPenalty}`;
  if (choice.noRepeatNgramSize !== 0) return `noRepeatNgramSize is ${choice.noRepeatNgramSize}`;
  if (choice.minLength > 1) return `minLength is ${choice.minLength}`;
  if (used.logitsProcessor) return 'there is a logitsProcessor';
  return used.logprobs ? 'logprobs are requested' : null;
}

function checkCount(field: string, value: unknown, min: number, max: number): void {
  if (value === undefined) return;
  if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) return;
  throw rangeError(field, value, `a whole number from ${min} to ${max}`);
}

function conflict(field: string, hindrance: string): GenerationError {
  return new GenerationError('GEN_RANGE', `${field} can't be used when ${hindrance}`, {
    field,
    hint: 'leave out one of the two',
  });
}
