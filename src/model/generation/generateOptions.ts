/** The options and the result of a generation. */
import type { PrepareOptions } from '../../processor/processor.ts';
import type { ParsedAnswer } from './answer.ts';
import type { ControlOptions } from './controlOptions.ts';
import type { SamplingOptions } from './samplingOptions.ts';
import type { TokenLogprobs } from './tokenLogprobs.ts';

export interface GenerateOptions extends PrepareOptions, SamplingOptions, ControlOptions {
  /** Maximum tokens of prompt and answer together. Default: prompt + maxNewTokens, at most `max_position_embeddings`. */
  readonly context?: number;
  /** The answer ends where one of these strings begins. They may cross token boundaries and are not part of the answer. */
  readonly stop?: readonly string[];
  /** Under video_rope: which axis each rotary frequency uses; see docs/MODEL.md, section 6. Default 'sections'. */
  readonly videoRope?: 'sections' | 'swapped';
  readonly onProgress?: (progress: GenerateProgress) => void;
}

export interface GenerateProgress {
  readonly stage: 'prepared' | 'prefill';
  readonly tokensDone: number;
  readonly promptTokens: number;
}

export interface GenerationResult extends ParsedAnswer {
  /** The whole answer including special tokens, as the published code decodes it. */
  readonly text: string;
  /** 'eos': an end token; 'stop': a stop string; 'length': maxNewTokens or the context is used up; 'left': the reader left. */
  readonly finishReason: 'eos' | 'stop' | 'length' | 'left';
  /** The ids of the new tokens, including the end token. */
  readonly tokens: readonly number[];
  /** One entry per token, if the option `logprobs` is set. */
  readonly logprobs?: readonly TokenLogprobs[];
  readonly timings: GenerationTimings;
  readonly warnings: readonly string[];
}

export interface GenerationTimings {
  readonly promptTokens: number;
  readonly newTokens: number;
  /** From messages to patches and ids, on the CPU. */
  readonly prepareMs: number;
  /** Vision tower and prompt, up to the first new token. */
  readonly prefillMs: number;
  /** All later tokens. */
  readonly decodeMs: number;
  /** Decoder passes after the prefill: one per token, fewer if drafts were right; 0 for a beam search. */
  readonly decodePasses: number;
  /** Draft tokens, how many of them were right, and the number of passes in which none was. */
  readonly drafts: { readonly guessed: number; readonly right: number; readonly failedPasses: number };
}
