import type { Pass } from '../../gpu/pass.ts';
import type { HostArray, Tensor } from '../../gpu/tensor.ts';
import type { ModelParts } from '../graph/modelParts.ts';

/** Chooses the next token from the logits. Tensors: `logits` [1, vocabSize] f32, `token` [1] u32. */
export interface TokenChooser {
  /** Records the processors, which change the logits in place; `token` is the last chosen token. */
  process(pass: Pass, logits: Tensor, token: Tensor): void;
  /** Records the choice, which is written to `token`. */
  choose(pass: Pass, logits: Tensor, token: Tensor): void;
  /** Tensors to read back with each token. */
  readonly reports?: readonly Tensor[];
  /** Called before each run with the number of tokens before the next one. */
  setLength(length: number): void;
  destroy(): Promise<void>;
}

/** A chosen token, and the values of the chooser's `reports`. */
export interface ChosenToken {
  readonly id: number;
  readonly reports: readonly HostArray[];
}

/** Greedy decoding: the token with the largest logit, and the lowest id among equal ones. */
export function largestLogit({ kernels }: ModelParts): TokenChooser {
  return {
    process() {},
    choose: (pass, logits, token) => void kernels.argmax(pass, { logits, out: token }),
    setLength() {},
    async destroy() {},
  };
}
