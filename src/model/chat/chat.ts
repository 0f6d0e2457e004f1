/** A conversation over several turns that reuses its KV cache. docs/MODEL.md, section 7. */
import { GenerationError, InputError } from '../../errors.ts';
import { copyRanges } from '../../gpu/copyRanges.ts';
import { checkMessages } from '../../processor/text/checkMessages.ts';
import type { Message, Part } from '../../processor/text/messages.ts';
import { assertPositiveInteger } from '../generation/contextFor.ts';
import { answerPrompt, chosenTokens } from '../generation/generate.ts';
import type { GenerateOptions, GenerationResult } from '../generation/generateOptions.ts';
import { GenerationStream, type PushText } from '../generation/generationStream.ts';
import { type GeneratingModel, type PreparedPrompt, preparePrompt } from '../generation/preparePrompt.ts';
import type { Sequence } from '../generation/sequence.ts';
import { cacheCopies } from '../graph/cacheCopies.ts';
import { KvCache } from '../graph/kvCache.ts';
import { textPositions } from '../graph/positions.ts';
import { contentKey, FeatureCache } from './featureCache.ts';
import { reusableTokens, textKey, tokenKeys } from './promptPrefix.ts';

const DEFAULT_CONTEXT = 4096;
const END_OF_TURN = '<|im_end|>';

/** Options for all turns. A turn's own options take precedence. */
export interface ChatOptions extends Omit<GenerateOptions, 'signal'> {
  /** Maximum tokens of the whole conversation. Default 4096, at most `max_position_embeddings`. */
  readonly context?: number;
  /** The system message; default: none. */
  readonly system?: string;
}

/** Options of one turn. `context` and `videoRope` are fixed for the chat, because its cache is made for them. */
export type TurnOptions = Omit<GenerateOptions, 'context' | 'videoRope'>;

export interface ChatResult extends GenerationResult {
  /** Prompt tokens that were computed. */
  readonly prefilledTokens: number;
  /** Prompt tokens whose keys and values were taken from the cache. */
  readonly reusedTokens: number;
}

/** A model's parts as a chat needs them. */
export interface ChattingModel extends GeneratingModel {
  /** @throws GenerationError GEN_DISPOSED */
  assertAlive(): void;
}

/**
 * A conversation, made by `M2Reasoning.chat`. Every turn renders the whole conversation, reuses the longest prefix of tokens that
 * is in the cache, and computes the rest. So after any change, by `edit`, `undo` or other options, the answer is the same as
 * without a cache. Beam search is refused: each beam would need its own cache.
 */
export class Chat {
  readonly context: number;
  readonly #model: ChattingModel;
  readonly #options: ChatOptions;
  readonly #ending = new AbortController();
  #messages: readonly Message[];
  #cache: KvCache | null = null;
  /** The keys (`tokenKeys`) of the tokens in the cache, from index 0 on. */
  #held: readonly string[] = [];
  #features: FeatureCache;
  #running: Promise<unknown> | null = null;

  /** @throws GenerationError GEN_RANGE (`context`); InputError (`system`) */
  constructor(model: ChattingModel, options: ChatOptions) {
    const { context = DEFAULT_CONTEXT, system } = options;
    assertPositiveInteger('context', context);
    this.context = Math.min(context, model.config.llm.maxPositionEmbeddings);
    this.#model = model;
    this.#options = options;
    this.#messages = system === undefined ? [] : checkMessages([{ role: 'system', content: system }]);
    this.#features = new FeatureCache(model);
  }

  /** The conversation so far. Answers are text without the end token. */
  get messages(): readonly Message[] {
    return this.#messages;
  }

  /** The number of images that went through the vision tower. An image with the same content as an earlier one does not. */
  get computedImages(): number {
    return this.#features.computed;
  }

  /**
   * Sends a user message and generates the answer. When the answer ends, even early by a limit or because the reader left, both
   * join the history. After an abort or an error the history is unchanged.
   *
   * @returns as `M2Reasoning.generate`; `result` also has `prefilledTokens` and `reusedTokens`
   * @throws (from the stream) as `M2Reasoning.generate`; InputError INPUT_CONTEXT_OVERFLOW, before any GPU work, if the
   *   conversation does not fit `context`; GenerationError GEN_BUSY while another turn runs, GEN_RANGE for `numBeams` > 1
   */
  send(content: string | readonly Part[], options: TurnOptions = {}): GenerationStream<ChatResult> {
    return new GenerationStream((push, left) =>
      this.#exclusively(() => this.#turn(content, options, push, left)),
    );
  }

  /**
   * Removes the last question and its answer.
   *
   * @returns false if there is none
   * @throws GenerationError GEN_BUSY, GEN_DISPOSED
   */
  undo(): boolean {
    this.#assertFree();
    if (this.#messages.at(-1)?.role !== 'assistant') return false;
    this.#messages = this.#messages.slice(0, -2);
    return true;
  }

  /**
   * Replaces the content of a message and keeps the messages after it. The next turn computes everything from there on again.
   *
   * @param index into `messages`
   * @throws InputError INPUT_RANGE if there is no such message, otherwise as `generate` for the content; GenerationError GEN_BUSY,
   *   GEN_DISPOSED
   */
  edit(index: number, content: string | readonly Part[]): void {
    this.#assertFree();
    if (this.#messages[index] === undefined) {
      throw new InputError('INPUT_RANGE', `the chat has no message ${index}`, {
        field: 'index',
        actual: index,
        hint: `give 0 to ${this.#messages.length - 1}, as in chat.messages`,
      });
    }
    this.#messages = checkMessages(
      this.#messages.map((message, i) => (i === index ? { ...message, content } : message)),
    );
  }

  /**
   * Another chat that continues from here, with its own copies of the caches.
   *
   * @throws GenerationError GEN_BUSY, GEN_DISPOSED; GpuError
   */
  fork(): Promise<Chat> {
    return this.#exclusively(async () => {
      const other = new Chat(this.#model, this.#options);
      try {
        other.#messages = this.#messages;
        other.#features = this.#features.copy();
        if (this.#cache) {
          copyRanges(this.#model.gpu, cacheCopies(this.#cache, other.#openCache(), this.#held.length));
          other.#held = this.#held;
        }
        await this.#model.gpu.idle();
        return other;
      } catch (error) {
        await other.destroy();
        throw error;
      }
    });
  }

  /** Aborts a running turn and frees the caches. Safe to call twice. */
  async destroy(): Promise<void> {
    if (this.#ending.signal.aborted) return;
    this.#ending.abort(new GenerationError('GEN_DISPOSED', 'the chat has been destroyed'));
    await this.#running?.catch(() => {});
    await this.#cache?.destroy();
    await this.#features.destroy();
  }

  async #turn(
    content: string | readonly Part[],
    turn: TurnOptions,
    push: PushText,
    left: AbortSignal,
  ): Promise<ChatResult> {
    const { context } = this;
    const signal = AbortSignal.any([this.#ending.signal, ...(turn.signal ? [turn.signal] : [])]);
    const { videoRope } = this.#options;
    const options = { ...this.#options, ...turn, signal, context, videoRope };
    const messages = checkMessages([...this.#messages, { role: 'user', content }]);
    const prompt = await preparePrompt(this.#model, messages, options);
    if (prompt.choice.numBeams > 1) throw beamsError(prompt.choice.numBeams);

    const { keys, reuse, newImages } = await this.#compare(prompt);
    const cache = this.#openCache();
    await cache.setPositions(prompt.positions);
    this.#held = keys.slice(0, reuse); // everything after these is overwritten now
    const prefill = async (sequence: Sequence, onProgress: (tokensDone: number) => void) => {
      const features = await this.#features.of(newImages, signal);
      const first = await sequence.prefill(prompt.inputIds, [], { signal, reuse, features, onProgress });
      await this.#features.trim();
      return first;
    };
    const result = await answerPrompt(this.#model, prompt, options, push, left, (events) => {
      const sequence = { context, positions: prompt.positions, cache, videoRope };
      const onProgress = (tokensDone: number) => {
        this.#held = keys.slice(0, tokensDone);
        events.onProgress(tokensDone);
      };
      return chosenTokens(this.#model, prompt, sequence, (s) => prefill(s, onProgress), events);
    });
    this.#held = [...keys, ...answerKeys(prompt, result.tokens)];
    this.#messages = [...messages, { role: 'assistant', content: withoutEnd(result.text) }];
    return { ...result, prefilledTokens: keys.length - reuse, reusedTokens: reuse };
  }

  /** Finds the prefix of the prompt that is in the cache, and the images that the rest needs. */
  async #compare({ inputIds, images, positions }: PreparedPrompt) {
    const { llm, vision } = this.#model.config;
    const keyed = await Promise.all(images.map(async (image) => ({ key: await contentKey(image), image })));
    const rows = keyed.map(({ key, image: { gridThw } }) => {
      const [t, h, w] = gridThw;
      return { key, merged: (t * h * w) / vision.spatialMergeSize ** 2 };
    });
    const described = tokenKeys(inputIds, positions, rows, llm.imagePatchToken);
    const reuse = reusableTokens(this.#held, described);
    const newImages = keyed.filter((_, i) => described.spans[i][0] >= reuse);
    return { keys: described.keys, reuse, newImages };
  }

  #openCache(): KvCache {
    const { gpu, config } = this.#model;
    this.#cache ??= new KvCache(
      gpu,
      config.llm,
      this.context,
      textPositions(0),
      this.#options.videoRope ?? 'sections',
    );
    return this.#cache;
  }

  async #exclusively<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#assertFree();
    const running = work();
    this.#running = running;
    try {
      return await running;
    } finally {
      this.#running = null;
    }
  }

  #assertFree(): void {
    this.#model.assertAlive();
    if (this.#ending.signal.aborted) throw this.#ending.signal.reason;
    if (this.#running === null) return;
    throw new GenerationError('GEN_BUSY', 'a turn of this chat is still running', {
      hint: 'wait for its result, or fork() the chat to continue it in two ways',
    });
  }
}

/** The keys of the answer's tokens that were fed to the decoder: all but the last. */
function answerKeys({ inputIds, positions }: PreparedPrompt, tokens: readonly number[]): string[] {
  return tokens.slice(0, -1).map((id, i) => {
    const position = inputIds.length + i + positions.ropeDelta;
    return textKey(id, position, position, position);
  });
}

/** Removes the end token, because the prompt closes each turn itself. */
function withoutEnd(text: string): string {
  return text.endsWith(END_OF_TURN) ? text.slice(0, -END_OF_TURN.length) : text;
}

function beamsError(numBeams: number): GenerationError {
  return new GenerationError('GEN_RANGE', `numBeams is ${numBeams}, but a chat has one beam`, {
    field: 'numBeams',
    expected: 1,
    actual: numBeams,
    hint: 'use generate() for beam search',
  });
}
