/** Options that look into decoding or pace it: log-probabilities, a hook for logits, drafts, steps per wait. */
import { GenerationError } from '../../errors.ts';
import type { LlmConfig } from '../checkpoint/config.ts';
import { type ResolvedOptions, rangeError } from './samplingOptions.ts';
import { MAX_STEPS } from './sequence.ts';

/** The text so far, for a `LogitsProcessor`. */
export interface LogitsContext {
  readonly promptIds: readonly number[];
  /** The tokens of the answer, without the one to be chosen. */
  readonly answerIds: readonly number[];
}

/**
 * Changes the next token's logits [vocabSize] f32 in place, after the penalties and before temperature and limits, where
 * transformers calls a `logits_processor`. -Infinity bans a token; what it throws ends the answer.
 */
export type LogitsProcessor = (logits: Float32Array, context: LogitsContext) => void | Promise<void>;

export interface ControlOptions {
  /** The result has each token's log-probability, and those of this many most likely ones: 0 to 20. Default: neither. */
  readonly logprobs?: number;
  /** Costs a way of the logits to the host and back with each token. */
  readonly logitsProcessor?: LogitsProcessor;
  /**
   * Guess the next tokens from what stood behind the same words before, and verify several in one pass: fewer passes where the
   * answer repeats prompt or itself. For greedy choice without penalties.
   */
  readonly promptLookup?: boolean;
  /** Decode steps between two waits for the GPU, 1 to 64. Default: as many as take 20 ms. The tokens are the same. */
  readonly stepsPerWait?: number;
}

export interface ResolvedControl {
  readonly logprobs: number | null;
  readonly logitsProcessor: LogitsProcessor | null;
  readonly promptLookup: boolean;
  readonly stepsPerWait: number | null;
}

const MAX_LOGPROBS = 20;

/** @throws GenerationError GEN_RANGE with the option's name in `details.field` */
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

/** A draft is verified by the largest logits alone: nothing else may have a say. */
function hindranceToDrafts(
  choice: Omit<ResolvedOptions, 'endTokens' | 'maxNewTokens' | 'seed'>,
  used: { readonly logprobs: boolean; readonly logitsProcessor: boolean },
): string | null {
  if (choice.doSample) return 'tokens are drawn';
  if (choice.repetitionPenalty !== 1) return `repetitionPenalty is ${choice.repetitionPenalty}`;
  if (choice.presencePenalty !== 0) return `presencePenalty is ${choice.presencePenalty}`;
  if (choice.frequencyPenalty !== 0) return `frequencyPenalty is ${choice.frequencyPenalty}`;
  if (choice.noRepeatNgramSize !== 0) return `noRepeatNgramSize is ${choice.noRepeatNgramSize}`;
  if (choice.minLength > 1) return `minLength is ${choice.minLength}`;
  if (used.logitsProcessor) return 'there is a logitsProcessor';
  return used.logprobs ? 'logprobs are asked for' : null;
}

function checkCount(field: string, value: unknown, min: number, max: number): void {
  if (value === undefined) return;
  if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) return;
  throw rangeError(field, value, `a whole number from ${min} to ${max}`);
}

function conflict(field: string, hindrance: string): GenerationError {
  return new GenerationError('GEN_RANGE', `${field} can't be used where ${hindrance}`, {
    field,
    hint: 'leave one of the two out',
  });
}
