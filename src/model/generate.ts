/** Greedy generation: the prompt once, then token by token until the end token, a limit, or an abort. */
import { GenerationError, InputError } from '../errors.ts';
import type { Message } from '../processor/messages.ts';
import type { PrepareOptions, Processor } from '../processor/processor.ts';
import { TokenStream } from '../processor/tokenStream.ts';
import { type ParsedAnswer, parseAnswer } from './answer.ts';
import { type PushText, throwIfAborted } from './generationStream.ts';
import { positionsFor } from './positions.ts';
import { type ModelParts, Sequence } from './sequence.ts';

export interface GenerateOptions extends PrepareOptions {
  /** Default 1024, as the reference's `generate`. */
  readonly maxNewTokens?: number;
  /** Tokens that prompt and answer may take together. Default: prompt + maxNewTokens, at most `max_position_embeddings`. */
  readonly context?: number;
  /** The end token, or several. Default: `llm_config.eos_token_id`. */
  readonly eosTokenId?: number | readonly number[];
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
  /** 'eos': the end token came; 'length': maxNewTokens or the context was reached; 'left': the reader left the stream. */
  readonly finishReason: 'eos' | 'length' | 'left';
  /** The new tokens, the end token included. */
  readonly tokens: readonly number[];
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
}

/** Runs one generation; see `M2Reasoning.generate`. Follows: modeling_bailing_qwen2_5.py, generate (num_beams 1, do_sample false) */
export async function generateGreedily(
  model: ModelParts & { readonly processor: Processor },
  messages: readonly Message[],
  options: GenerateOptions,
  push: PushText,
  left: AbortSignal,
): Promise<GenerationResult> {
  const { config, processor } = model;
  const { maxNewTokens = 1024, quirks = 'reference', signal, onProgress, videoRope } = options;
  const endTokens = [options.eosTokenId ?? config.llm.eosTokenId].flat();
  assertPositiveInteger('maxNewTokens', maxNewTokens);
  throwIfAborted(signal);

  const startedAt = performance.now();
  const { inputIds, images, warnings } = await processor.prepare(messages, options).catch((error) => {
    throwIfAborted(signal); // prepare throws the signal's own reason
    throw error;
  });
  throwIfAborted(signal);
  const context = contextFor(
    inputIds.length,
    maxNewTokens,
    options.context,
    config.llm.maxPositionEmbeddings,
  );
  const room = Math.min(maxNewTokens, context - inputIds.length);
  const gridThws = images.map(({ gridThw }) => gridThw);
  const positions = positionsFor(config.llm.rope, inputIds, gridThws, positionTokens(model), quirks);
  const preparedAt = performance.now();
  const progress = { promptTokens: inputIds.length };
  onProgress?.({ stage: 'prepared', tokensDone: 0, ...progress });

  const tokens: number[] = [];
  const texts = new TokenStream(processor.tokenizer);
  let text = '';
  const show = (piece: string) => {
    text += piece;
    push(piece);
  };
  let prefilledAt = preparedAt;
  let finishReason: GenerationResult['finishReason'] = 'length';
  const sequence = new Sequence(model, { context, positions, videoRope });
  try {
    while (tokens.length < room) {
      throwIfAborted(signal);
      if (left.aborted) {
        finishReason = 'left';
        break;
      }
      const token =
        tokens.length > 0
          ? await sequence.decode()
          : await sequence.prefill(inputIds, images, {
              signal,
              onProgress: (tokensDone) => onProgress?.({ stage: 'prefill', tokensDone, ...progress }),
            });
      if (tokens.length === 0) prefilledAt = performance.now();
      tokens.push(token);
      show(texts.push(token));
      if (endTokens.includes(token)) {
        finishReason = 'eos';
        break;
      }
    }
    show(texts.end());
  } catch (error) {
    throwIfAborted(signal); // prefill throws the signal's own reason
    throw error;
  } finally {
    await sequence.destroy();
  }
  const timings = {
    promptTokens: inputIds.length,
    newTokens: tokens.length,
    prepareMs: preparedAt - startedAt,
    prefillMs: prefilledAt - preparedAt,
    decodeMs: performance.now() - prefilledAt,
  };
  return { text, ...parseAnswer(text), finishReason, tokens, timings, warnings };
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

function assertPositiveInteger(field: string, value: number): void {
  if (Number.isSafeInteger(value) && value > 0) return;
  throw new GenerationError('GEN_RANGE', `${field} is ${value}`, {
    field,
    actual: value,
    hint: 'give a whole number of at least 1',
  });
}
