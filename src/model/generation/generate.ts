/** Generation: the prompt once, then token by token (or by beam search) until an end token, a stop string, a limit or an abort. */
import type { Message } from '../../processor/text/messages.ts';
import { TokenStream } from '../../processor/text/tokenStream.ts';
import type { ModelParts } from '../graph/modelParts.ts';
import { parseAnswer } from './answer.ts';
import { beamTokens } from './beamSearch.ts';
import { type DecodeEvent, decodedTokens } from './decodeLoop.ts';
import type { GenerateOptions, GenerationResult } from './generateOptions.ts';
import { type PushText, throwIfAborted } from './generationStream.ts';
import { type GeneratingModel, type PreparedPrompt, preparePrompt } from './preparePrompt.ts';
import type { Sequence, SequenceOptions } from './sequence.ts';
import type { ChosenToken } from './tokenChooser.ts';
import { LogprobChooser, type TokenLogprobs, tokenLogprobs } from './tokenLogprobs.ts';
import { TokenSampler } from './tokenSampler.ts';

/** Runs one generation; see `M2Reasoning.generate`. Follows: modeling_bailing_qwen2_5.py, generate */
export async function generate(
  model: GeneratingModel,
  messages: readonly Message[],
  options: GenerateOptions,
  push: PushText,
  left: AbortSignal,
): Promise<GenerationResult> {
  const prompt = await preparePrompt(model, messages, options);
  const { inputIds, images, positions, context, room, endTokens, choice } = prompt;
  const { quirks = 'reference', signal, videoRope } = options;
  const sequence = { context, positions, videoRope };
  return answerPrompt(model, prompt, options, push, left, (events) => {
    const { onProgress, onPrefilled } = events;
    if (choice.numBeams > 1) {
      const search = { ...choice, endTokens, maxNewTokens: room, processors: choice, signal, onPrefilled };
      return beamTokens(model, { inputIds, images, quirks }, sequence, search);
    }
    const prefill = (running: Sequence) => running.prefill(inputIds, images, { signal, onProgress });
    return chosenTokens(model, prompt, sequence, prefill, events);
  });
}

/** Progress events from the source of the tokens. */
export interface TokenEvents {
  readonly onProgress: (tokensDone: number) => void;
  readonly onPrefilled: () => void;
  readonly onDecoded: (event: DecodeEvent) => void;
}

/** Turns an answer's tokens into text until an end token, a stop string, a limit, an abort or the reader ends it. */
export async function answerPrompt(
  { processor }: Pick<GeneratingModel, 'processor'>,
  prompt: PreparedPrompt,
  { signal, onProgress }: Pick<GenerateOptions, 'signal' | 'onProgress'>,
  push: PushText,
  left: AbortSignal,
  tokensOf: (events: TokenEvents) => AsyncIterable<ChosenToken>,
): Promise<GenerationResult> {
  const { endTokens, stops, room, control, prepareMs, warnings } = prompt;
  const promptTokens = prompt.inputIds.length;
  const startedAt = performance.now();
  onProgress?.({ stage: 'prepared', tokensDone: 0, promptTokens });

  let prefilledAt = startedAt;
  let decodePasses = 0;
  const drafts = { guessed: 0, right: 0, failedPasses: 0 };
  const events: TokenEvents = {
    onProgress: (tokensDone) => onProgress?.({ stage: 'prefill', tokensDone, promptTokens }),
    onPrefilled: () => {
      prefilledAt = performance.now();
    },
    onDecoded: ({ passes, drafted, accepted }) => {
      decodePasses += passes;
      drafts.guessed += drafted;
      drafts.right += accepted;
      if (drafted > 0 && accepted === 0) drafts.failedPasses++;
    },
  };
  const tokens: number[] = [];
  const logprobs: TokenLogprobs[] = [];
  const decoded = new TokenStream(processor.tokenizer);
  let text = '';
  const show = (piece: string) => {
    text += piece;
    push(piece);
  };
  let finishReason: GenerationResult['finishReason'] = 'length';
  try {
    for await (const chosen of tokensOf(events)) {
      const token = chosen.id;
      tokens.push(token);
      if (control.logprobs !== null) logprobs.push(tokenLogprobs(processor.tokenizer, chosen));
      const { text: shown, stopped } = stops.push(decoded.push(token));
      show(shown);
      throwIfAborted(signal);
      if (stopped) finishReason = 'stop';
      else if (endTokens.includes(token)) finishReason = 'eos';
      else if (left.aborted) finishReason = 'left';
      if (finishReason !== 'length' || tokens.length === room) break;
    }
    if (finishReason !== 'stop') show(stops.push(decoded.end()).text + stops.end());
  } catch (error) {
    throwIfAborted(signal); // prefill throws the signal's own reason
    throw error;
  }
  const timings = {
    promptTokens,
    newTokens: tokens.length,
    prepareMs,
    prefillMs: prefilledAt - startedAt,
    decodeMs: performance.now() - prefilledAt,
    decodePasses,
    drafts,
  };
  const asked = control.logprobs === null ? {} : { logprobs };
  return { text, ...parseAnswer(text), finishReason, tokens, ...asked, timings, warnings };
}

/** Generates the tokens of an answer one by one, chosen according to the prompt's options. */
export async function* chosenTokens(
  model: ModelParts,
  { inputIds, context, room, endTokens, choice, control }: PreparedPrompt,
  sequence: Omit<SequenceOptions, 'chooser' | 'changeLogits'>,
  prefill: (sequence: Sequence) => Promise<ChosenToken>,
  { onPrefilled, onDecoded }: TokenEvents,
): AsyncGenerator<ChosenToken, void, undefined> {
  const { logprobs, logitsProcessor, promptLookup, stepsPerWait } = control;
  const sampler = new TokenSampler(model, choice, { inputIds, context, endTokens });
  const chooser = logprobs === null ? sampler : new LogprobChooser(model, sampler, logprobs);
  const answerIds: number[] = [];
  const changeLogits =
    logitsProcessor === null
      ? undefined
      : (logits: Float32Array) => logitsProcessor(logits, { promptIds: inputIds, answerIds });
  const tokens = decodedTokens(model, { ...sequence, chooser, changeLogits }, prefill, {
    room,
    stepsPerWait,
    lookupIds: promptLookup ? inputIds : null,
    onPrefilled,
    onDecoded,
  });
  for await (const chosen of tokens) {
    answerIds.push(chosen.id);
    yield chosen;
  }
}
