/** A mistake that the cases of a kernel must find: a text with each is made by `mutants.test.ts`. */
import type { kernels } from '../../src/kernels/kernelSet.ts';

export interface Mutant {
  readonly kernel: keyof typeof kernels;
  readonly broken: string;
  /** Stands exactly once in the text and its helpers. */
  readonly find: string;
  readonly replace: string;
  /** How weights are stored, and whether in pieces; default bf16, whole. */
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
