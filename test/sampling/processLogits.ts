/** A CPU version of what the GPU does with logits before it samples, written for comparison with transformers line by line. */
import { type SamplingLimits, tokenProbabilities } from '../../src/kernels/choose/reference/sampleToken.ts';
import type { ProcessorOptions } from '../../src/model/generation/logitsProcessors.ts';

export type ProcessOptions = ProcessorOptions & SamplingLimits;

/** Every option switched off. */
export const OFF: ProcessOptions = {
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  noRepeatNgramSize: 0,
  minLength: 0,
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
};

/** The token ids so far, and the end tokens. */
export interface TextSoFar {
  readonly promptIds: readonly number[];
  readonly answerIds: readonly number[];
  readonly endTokens: readonly number[];
}

/**
 * The probabilities from which the next token is sampled. Scores are float32, as in transformers.
 *
 * @param logits [vocabSize]
 * @returns [vocabSize] f64, 0 for tokens that can't be sampled; all NaN if a logit is NaN or +Infinity, or no token is left
 * Follows: transformers 4.49, generation/utils.py, _get_logits_processor
 */
export function processLogits(
  logits: ArrayLike<number>,
  options: ProcessOptions,
  text: TextSoFar,
): Float64Array {
  const scores = Float32Array.from(logits);
  penalizeRepetition(scores, options, text);
  penalizePresence(scores, options, text);
  banRepeatedNgrams(scores, options, text);
  banEarlyEnd(scores, options, text);
  return tokenProbabilities(scores, options);
}

/** Follows: transformers 4.49, RepetitionPenaltyLogitsProcessor */
function penalizeRepetition(
  scores: Float32Array,
  { repetitionPenalty }: ProcessorOptions,
  { promptIds, answerIds }: TextSoFar,
): void {
  const penalty = Math.fround(repetitionPenalty);
  for (const id of new Set([...promptIds, ...answerIds])) {
    scores[id] = scores[id] < 0 ? scores[id] * penalty : scores[id] / penalty;
  }
}

/** Presence and frequency penalties, on the answer only; transformers has neither. Follows: vLLM, apply_penalties */
function penalizePresence(
  scores: Float32Array,
  { presencePenalty, frequencyPenalty }: ProcessorOptions,
  { answerIds }: TextSoFar,
): void {
  const counts = new Map<number, number>();
  for (const id of answerIds) counts.set(id, (counts.get(id) ?? 0) + 1);
  for (const [id, count] of counts) scores[id] -= presencePenalty + frequencyPenalty * count;
}

/** Follows: transformers 4.49, NoRepeatNGramLogitsProcessor */
function banRepeatedNgrams(
  scores: Float32Array,
  { noRepeatNgramSize: size }: ProcessorOptions,
  { promptIds, answerIds }: TextSoFar,
): void {
  if (size === 0) return;
  const text = [...promptIds, ...answerIds];
  const tail = text.slice(text.length - (size - 1)).join();
  for (let start = 0; start + size <= text.length; start++) {
    const ngram = text.slice(start, start + size);
    const last = ngram.pop() as number;
    if (ngram.join() === tail) scores[last] = -Infinity;
  }
}

/** Follows: transformers 4.49, MinLengthLogitsProcessor */
function banEarlyEnd(
  scores: Float32Array,
  { minLength }: ProcessorOptions,
  { promptIds, answerIds, endTokens }: TextSoFar,
): void {
  if (promptIds.length + answerIds.length >= minLength) return;
  for (const id of endTokens) scores[id] = -Infinity;
}
