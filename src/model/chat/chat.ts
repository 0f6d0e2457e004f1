/** A conversation over several turns: what the cache holds of it is not computed again. docs/MODEL.md, section 7. */
import { GenerationError, InputError } from '../../errors.ts';
import { copyRanges } from '../../gpu/tensor.ts';
import { checkMessages } from '../../processor/text/checkMessages.ts';
import type { Message, Part } from '../../processor/text/messages.ts';
import { answerPrompt, chosenTokens } from '../generation/generate.ts';
import type { GenerateOptions, GenerationResult } from '../generation/generateOptions.ts';
import { GenerationStream, type PushText } from '../generation/generationStream.ts';
import {
  assertPositiveInteger,
  type GeneratingModel,
  type PreparedPrompt,
  preparePrompt,
} from '../generation/preparePrompt.ts';
import type { Sequence } from '../generation/sequence.ts';
import { KvCache } from '../graph/kvCache.ts';
import { textPositions } from '../graph/positions.ts';
import { contentKey, FeatureCache } from './featureCache.ts';
import { reusableTokens, textKey, tokenKeys } from './promptPrefix.ts';

const DEFAULT_CONTEXT = 4096;
const END_OF_TURN = '<|im_end|>';

/** Options of every turn that does not give its own. */
export interface ChatOptions extends Omit<GenerateOptions, 'signal'> {
  /** Tokens that the whole conversation may take. Default 4096, at most `max_position_embeddings`. */
  readonly context?: number;
  /** A system turn; without it there is none. */
  readonly system?: string;
}

/** The cache is made for one context and one layout: these two belong to the chat. */
export type TurnOptions = Omit<GenerateOptions, 'context' | 'videoRope'>;

export interface ChatResult extends GenerationResult {
  /** Tokens of the prompt that went through the decoder. */
  readonly prefilledTokens: number;
  /** Tokens of the prompt that the cache held. */
  readonly reusedTokens: number;
}

/** What a chat needs of the model. */
export interface ChattingModel extends GeneratingModel {
  /** @throws GenerationError GEN_DISPOSED */
  assertAlive(): void;
}

/**
 * Made by `M2Reasoning.chat`. Every turn renders the whole conversation; the beginning that is, token by token, what the cache
 * holds is kept, the rest is fed. So whatever changes, by `edit`, `undo` or other options, the answer is that of a fresh run.
 * Beams are refused: each would need a cache of its own.
 */
export class Chat {
  readonly context: number;
  readonly #model: ChattingModel;
  readonly #options: ChatOptions;
  readonly #ending = new AbortController();
  #messages: readonly Message[];
  #cache: KvCache | null = null;
  /** Of the tokens whose keys and values are in the cache, from index 0 on; see `tokenKeys`. */
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

  /** The conversation so far; answers are text, without the end token. */
  get messages(): readonly Message[] {
    return this.#messages;
  }

  /** How many images went through the vision tower; one that comes again is known by its content. */
  get computedImages(): number {
    return this.#features.computed;
  }

  /**
   * Says something and answers it. Both join the history once the answer is there, also one that its reader left early or that
   * a limit cut; after an abort or an error the history is as before.
   *
   * @returns as `M2Reasoning.generate`; `result` also has `prefilledTokens` and `reusedTokens`
   * @throws (from the stream) what `M2Reasoning.generate` throws; InputError INPUT_CONTEXT_OVERFLOW, before any GPU work, when
   *   the conversation does not fit `context`; GenerationError GEN_BUSY while another turn runs, GEN_RANGE for `numBeams` over 1
   */
  send(content: string | readonly Part[], options: TurnOptions = {}): GenerationStream<ChatResult> {
    return new GenerationStream((push, left) =>
      this.#exclusively(() => this.#turn(content, options, push, left)),
    );
  }

  /**
   * Takes the last question and its answer back.
   *
   * @returns false when there is none
   * @throws GenerationError GEN_BUSY, GEN_DISPOSED
   */
  undo(): boolean {
    this.#assertFree();
    if (this.#messages.at(-1)?.role !== 'assistant') return false;
    this.#messages = this.#messages.slice(0, -2);
    return true;
  }

  /**
   * Puts other content into a message; what follows it stays. The next turn feeds everything from there on again.
   *
   * @throws InputError INPUT_RANGE: no such message; else as `generate` for the content. GenerationError GEN_BUSY, GEN_DISPOSED
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
   * Another chat that goes on from here, with caches of its own, copied on the GPU.
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
          copyRanges(this.#model.gpu, this.#cache.copiesTo(other.#openCache(), this.#held.length));
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

  /** Aborts a turn that is under way, and frees the caches. Safe to call twice. */
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
    this.#held = keys.slice(0, reuse); // what stands behind is overwritten now
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

  /** Which part of the prompt the cache holds, and which images the rest needs. */
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
      hint: 'wait for its result, or fork the chat to go on in two ways at once',
    });
  }
}

/** Of the answer's tokens that were fed, i.e. all but the last, behind the prompt's. */
function answerKeys({ inputIds, positions }: PreparedPrompt, tokens: readonly number[]): string[] {
  return tokens.slice(0, -1).map((id, i) => {
    const position = inputIds.length + i + positions.ropeDelta;
    return textKey(id, position, position, position);
  });
}

/** The prompt closes the turn itself. */
function withoutEnd(text: string): string {
  return text.endsWith(END_OF_TURN) ? text.slice(0, -END_OF_TURN.length) : text;
}

function beamsError(numBeams: number): GenerationError {
  return new GenerationError('GEN_RANGE', `numBeams is ${numBeams}, a chat has one beam`, {
    field: 'numBeams',
    expected: 1,
    actual: numBeams,
    hint: 'use generate() for beam search',
  });
}
