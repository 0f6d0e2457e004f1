/** Generation: the prompt once, then token by token (or beam by beam) until the end token, a stop string, a limit, or an abort. */
import { GenerationError, InputError } from '../../errors.ts';
import type { PreparedInputs, PrepareOptions, Processor } from '../../processor/processor.ts';
import type { Message } from '../../processor/text/messages.ts';
import { TokenStream } from '../../processor/text/tokenStream.ts';
import type { ModelParts } from '../graph/modelParts.ts';
import { type Positions, positionsFor } from '../graph/positions.ts';
import { type ParsedAnswer, parseAnswer } from './answer.ts';
import { beamSearch } from './beamSearch.ts';
import { type ControlOptions, type ResolvedControl, resolveControl } from './controlOptions.ts';
import { type DecodeEvent, decodedTokens } from './decodeLoop.ts';
import { type PushText, throwIfAborted } from './generationStream.ts';
import {
  parseGenerationConfig,
  type ResolvedOptions,
  resolveGenerationOptions,
  type SamplingOptions,
} from './samplingOptions.ts';
import type { Sequence, SequenceOptions } from './sequence.ts';
import { StopStrings } from './stopStrings.ts';
import type { ChosenToken } from './tokenChooser.ts';
import { LogprobChooser, type TokenLogprobs, tokenLogprobs } from './tokenLogprobs.ts';
import { TokenSampler } from './tokenSampler.ts';

export interface GenerateOptions extends PrepareOptions, SamplingOptions, ControlOptions {
  /** Tokens that prompt and answer may take together. Default: prompt + maxNewTokens, at most `max_position_embeddings`. */
  readonly context?: number;
  /** Ends the answer where one of these begins; they may cross the borders of tokens, and are not shown. */
  readonly stop?: readonly string[];
  /** Which frequencies turn with which axis under video_rope; see docs/MODEL.md, section 6. */
  readonly videoRope?: 'sections' | 'swapped';
  readonly onProgress?: (progress: GenerateProgress) => void;
}

export interface GenerateProgress {
  readonly stage: 'prepared' | 'prefill';
  readonly tokensDone: number;
  readonly promptTokens: number;
}

export interface GenerationResult extends ParsedAnswer {
  /** The whole answer, special tokens included, as the published code decodes it. */
  readonly text: string;
  /** 'eos': the end token came; 'stop': a stop string came; 'length': maxNewTokens or the context was reached; 'left': the reader left the stream. */
  readonly finishReason: 'eos' | 'stop' | 'length' | 'left';
  /** The new tokens, the end token included. */
  readonly tokens: readonly number[];
  /** One for each token, where `logprobs` asked for them. */
  readonly logprobs?: readonly TokenLogprobs[];
  readonly timings: GenerationTimings;
  readonly warnings: readonly string[];
}

export interface GenerationTimings {
  readonly promptTokens: number;
  readonly newTokens: number;
  /** Messages to patches and ids, on the CPU. */
  readonly prepareMs: number;
  /** Vision tower and prompt, up to the first new token. */
  readonly prefillMs: number;
  /** All later tokens together. */
  readonly decodeMs: number;
  /** Passes through the decoder after the prefill: one a token, fewer where drafts were right. Of a beam search 0. */
  readonly decodePasses: number;
  /** Tokens that drafts guessed, how many of them were right, and the passes of which none was. */
  readonly drafts: { readonly guessed: number; readonly right: number; readonly failedPasses: number };
}

/** What generation needs beyond the model's own parts. */
export interface GeneratingModel extends ModelParts {
  readonly processor: Processor;
  /** The bytes of generation_config.json, where there is one. */
  readonly generationConfig: Uint8Array | null;
}

/** A prompt, and all that its generation needs to know. */
export interface PreparedPrompt extends PreparedInputs {
  readonly positions: Positions;
  readonly context: number;
  /** Tokens that the answer may have at most. */
  readonly room: number;
  readonly endTokens: readonly number[];
  readonly choice: Omit<ResolvedOptions, 'maxNewTokens' | 'endTokens'>;
  readonly control: ResolvedControl;
  readonly stops: StopStrings;
  readonly prepareMs: number;
}

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

/** Everything that comes before the GPU: checks the options, renders the messages, and looks whether they fit. */
export async function preparePrompt(
  model: GeneratingModel,
  messages: readonly Message[],
  options: GenerateOptions,
): Promise<PreparedPrompt> {
  const { config, processor } = model;
  const { quirks = 'reference', signal } = options;
  const { maxNewTokens, endTokens, ...choice } = resolveGenerationOptions(
    options,
    config.llm,
    generationDefaults(model, options),
  );
  const control = resolveControl(options, choice, config.llm);
  const stops = new StopStrings(options.stop ?? []);
  throwIfAborted(signal);

  const startedAt = performance.now();
  const inputs = await processor.prepare(messages, options).catch((error) => {
    throwIfAborted(signal); // prepare throws the signal's own reason
    throw error;
  });
  throwIfAborted(signal);
  const { inputIds, images } = inputs;
  const { maxPositionEmbeddings, rope } = config.llm;
  const context = contextFor(inputIds.length, maxNewTokens, options.context, maxPositionEmbeddings);
  const room = Math.min(maxNewTokens, context - inputIds.length);
  const positions = positionsFor(rope, inputIds, images, positionTokens(model), quirks);
  const prepareMs = performance.now() - startedAt;
  return { ...inputs, positions, context, room, endTokens, choice, control, stops, prepareMs };
}

/** What whoever makes the tokens tells of the work. */
export interface TokenEvents {
  readonly onProgress: (tokensDone: number) => void;
  readonly onPrefilled: () => void;
  readonly onDecoded: (event: DecodeEvent) => void;
}

/** Shows an answer's tokens as text until one of them, a stop string, a limit, an abort or the reader ends it. */
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

/** Parsed only when it is asked for: the published code ignores the file, so it may hold anything. */
function generationDefaults({ generationConfig, config }: GeneratingModel, { generation }: SamplingOptions) {
  return generation === 'checkpoint' && generationConfig
    ? parseGenerationConfig(generationConfig, config.llm)
    : null;
}

/** The tokens of an answer, chosen one after the other as the prompt's options say. */
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

/** The tokens of the best answer, once it is found: nothing of it is certain before. */
async function* beamTokens(
  ...search: Parameters<typeof beamSearch>
): AsyncGenerator<ChosenToken, void, undefined> {
  for (const id of (await beamSearch(...search)).tokens) yield { id, reports: [] };
}

/** The ids and sizes that positions are recognised by. */
export function positionTokens({ config }: Pick<ModelParts, 'config'>) {
  const { imageStartToken, imagePatchToken } = config.llm;
  return { imageStartToken, imagePatchToken, spatialMergeSize: config.vision.spatialMergeSize };
}

function contextFor(
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
    `the prompt has ${promptTokens} tokens, the context ${context}: there is no room for an answer`,
    {
      field: 'messages',
      expected: context,
      actual: promptTokens,
      hint: `shorten the text, scale pictures down with maxPixels, or give a larger context (at most ${maxPositionEmbeddings})`,
    },
  );
}

export function assertPositiveInteger(field: string, value: number): void {
  if (Number.isSafeInteger(value) && value > 0) return;
  throw new GenerationError('GEN_RANGE', `${field} is ${value}`, {
    field,
    actual: value,
    hint: 'give a whole number of at least 1',
  });
}
