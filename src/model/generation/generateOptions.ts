/** What a generation is asked, and what it answers. */
import type { PrepareOptions } from '../../processor/processor.ts';
import type { ParsedAnswer } from './answer.ts';
import type { ControlOptions } from './controlOptions.ts';
import type { SamplingOptions } from './samplingOptions.ts';
import type { TokenLogprobs } from './tokenLogprobs.ts';

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
