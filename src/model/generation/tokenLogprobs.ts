/** Log-probabilities of the chosen tokens and of the most likely alternatives. */
import type { Pass } from '../../gpu/pass.ts';
import { freeTensors, type HostArray, reshape, type Tensor, zeros } from '../../gpu/tensor.ts';
import { NO_TOKEN } from '../../kernels/choose/argmax.ts';
import type { Tokenizer } from '../../processor/text/tokenizer.ts';
import type { ModelParts } from '../graph/modelParts.ts';
import type { ChosenToken, TokenChooser } from './tokenChooser.ts';

export interface TokenLogprob {
  /** The token id. */
  readonly token: number;
  /** The token decoded by itself; U+FFFD if it is only part of a character. */
  readonly text: string;
  /** Natural logarithm of the token's probability. */
  readonly logprob: number;
}

/** A token of an answer, and the most likely tokens in its place, most likely first. */
export interface TokenLogprobs extends TokenLogprob {
  readonly top: readonly TokenLogprob[];
}

/**
 * Adds log-probabilities to the tokens of another chooser: the log softmax of the model's logits, before penalties, temperature
 * and limits.
 */
export class LogprobChooser implements TokenChooser {
  /** [1, 1] f32: the chosen token's log-probability. If `top` > 0, then [top] u32 and [top] f32 for the most likely tokens. */
  readonly reports: readonly Tensor[];
  readonly #model: ModelParts;
  readonly #chooser: TokenChooser;
  readonly #scores: Tensor; // [1, vocabSize]

  /** @param top number of most likely tokens to report, 0 to vocabSize */
  constructor(model: ModelParts, chooser: TokenChooser, top: number) {
    const { gpu, config } = model;
    this.#model = model;
    this.#chooser = chooser;
    this.#scores = zeros(gpu, 'f32', [1, config.llm.vocabSize], 'log-probabilities');
    const best =
      top > 0 ? [zeros(gpu, 'u32', [top], 'top ids'), zeros(gpu, 'f32', [top], 'top logprobs')] : [];
    this.reports = [zeros(gpu, 'f32', [1, 1], 'logprob'), ...best];
  }

  process(pass: Pass, logits: Tensor, token: Tensor): void {
    const { kernels } = this.#model;
    const [, ids, values] = this.reports;
    const scores = this.#scores;
    pass.copy(logits, scores);
    kernels.logSoftmax(pass, { scores });
    if (ids) kernels.topK(pass, { scores, ids, values });
    this.#chooser.process(pass, logits, token);
  }

  choose(pass: Pass, logits: Tensor, token: Tensor): void {
    const { kernels, config } = this.#model;
    this.#chooser.choose(pass, logits, token);
    const byToken = reshape(this.#scores, [config.llm.vocabSize, 1]);
    kernels.gatherRows(pass, { x: byToken, index: token, out: this.reports[0] });
  }

  setLength(length: number): void {
    this.#chooser.setLength(length);
  }

  async destroy(): Promise<void> {
    await this.#chooser.destroy();
    await freeTensors(this.#model.gpu, [this.#scores, ...this.reports]);
  }
}

/** The log-probabilities that a `LogprobChooser` reported for one token. */
export function tokenLogprobs(tokenizer: Tokenizer, { id, reports }: ChosenToken): TokenLogprobs {
  const [[logprob], ids = [], values = []] = reports as readonly HostArray[];
  const described = (token: number, value: number) => ({
    token,
    text: tokenizer.decode([token]),
    logprob: value,
  });
  const top = Array.from(ids, (token, i) => described(token, values[i]));
  return { ...described(id, logprob), top: top.filter(({ token }) => token !== NO_TOKEN) };
}
