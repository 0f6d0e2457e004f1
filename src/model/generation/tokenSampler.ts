import type { Pass } from '../../gpu/pass.ts';
import type { Tensor } from '../../gpu/tensor.ts';
import type { ModelParts } from '../graph/modelParts.ts';
import { LogitsProcessors, type ProcessorOptions } from './logitsProcessors.ts';
import type { TokenChooser } from './tokenChooser.ts';

export interface SamplerOptions extends ProcessorOptions {
  /** false: take the largest of the processed logits. */
  readonly doSample: boolean;
  readonly temperature: number;
  /** 0: off. */
  readonly topK: number;
  /** 1: off. */
  readonly topP: number;
  /** 0: off. */
  readonly minP: number;
  readonly seed: bigint;
}

/** Processes the logits and samples the next token, or takes the largest logit: on the GPU, in at most three dispatches. */
export class TokenSampler implements TokenChooser {
  readonly #model: ModelParts;
  readonly #options: SamplerOptions;
  readonly #processors: LogitsProcessors;

  constructor(
    model: ModelParts,
    { doSample, temperature, topK, topP, minP, seed, ...processors }: SamplerOptions,
    prompt: ConstructorParameters<typeof LogitsProcessors>[2],
  ) {
    this.#model = model;
    this.#options = { doSample, temperature, topK, topP, minP, seed, ...processors };
    this.#processors = new LogitsProcessors(model, processors, prompt);
  }

  process(pass: Pass, logits: Tensor, token: Tensor): void {
    this.#processors.record(pass, logits, token);
  }

  choose(pass: Pass, logits: Tensor, token: Tensor): void {
    const { kernels } = this.#model;
    const { doSample, temperature, topK, topP, minP, seed } = this.#options;
    if (!doSample) {
      kernels.argmax(pass, { logits, out: token });
      return;
    }
    const seedLow = Number(seed & 0xffffffffn);
    const seedHigh = Number(seed >> 32n);
    const limits = { temperature, topK, topP, minP, seedLow, seedHigh };
    kernels.sampleToken(pass, { logits, length: this.#processors.length, out: token }, limits);
  }

  setLength(length: number): void {
    this.#processors.setLength(length);
  }

  async destroy(): Promise<void> {
    await this.#processors.destroy();
  }
}
