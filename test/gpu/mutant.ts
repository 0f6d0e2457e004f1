/** A mistake that the cases of a kernel must find. `mutants.test.ts` makes a text with each. */
import type { kernels } from '../../src/kernels/kernelSet.ts';

export interface Mutant {
  readonly kernel: keyof typeof kernels;
  readonly broken: string;
  /** Occurs exactly once in the text and its helpers. */
  readonly find: string;
  readonly replace: string;
  /** Storage format of weights, and whether they are split; default bf16 in one piece. */
  readonly weights?: 'f32' | 'f16' | 'split';
}

export function mutant(
  kernel: keyof typeof kernels,
  broken: string,
  find: string,
  replace: string,
  weights?: Mutant['weights'],
): Mutant {
  return { kernel, broken, find, replace, weights };
}
