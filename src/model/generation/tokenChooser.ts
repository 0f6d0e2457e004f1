import type { Pass } from '../../gpu/pass.ts';
import type { HostArray, Tensor } from '../../gpu/tensor.ts';
import type { ModelParts } from '../graph/modelParts.ts';

/** How the next token follows from the logits. The tensors: `logits` [1, vocabSize] f32, `token` [1] u32. */
export interface TokenChooser {
  /** Records what changes the logits, in place; `token` is the one chosen last. */
  process(pass: Pass, logits: Tensor, token: Tensor): void;
  /** Records the choice, which goes into `token`. */
  choose(pass: Pass, logits: Tensor, token: Tensor): void;
  /** What comes back to the host with each token. */
  readonly reports?: readonly Tensor[];
  /** Called before each run with the number of tokens that stand before the one to be chosen. */
  setLength(length: number): void;
  destroy(): Promise<void>;
}

/** A token, and the values of the chooser's `reports`. */
export interface ChosenToken {
  readonly id: number;
  readonly reports: readonly HostArray[];
}

/** Greedy: the token with the largest logit, of equal ones the lowest id. */
export function largestLogit({ kernels }: ModelParts): TokenChooser {
  return {
    process() {},
    choose: (pass, logits, token) => void kernels.argmax(pass, { logits, out: token }),
    setLength() {},
    async destroy() {},
  };
}
