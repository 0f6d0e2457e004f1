import { type KernelCase, read, readWrite } from '../../gpu/declaration.ts';
import { defineKernel } from '../../gpu/kernel.ts';
import { banned, finite, flatGroup } from '../shared/helpers.ts';
import { END_TOKEN, IN_PROMPT, penalizeLogitsReference } from './reference/penalizeLogits.ts';

export { END_TOKEN, IN_PROMPT };

/**
 * Takes note of the token chosen last, then applies the penalties of repetition, presence and frequency, and the ban on end
 * tokens below `minLength`. In place on `logits` [1, vocab] f32, `tokenState` [vocab] u32 and `history` [context] u32.
 *
 * `token` [1] u32: counted when `length` [1] u32, the tokens of prompt and answer so far, is above `promptLength`.
 * Penalties of 1, 0, 0 and a minLength of 0 change nothing.
 * Follows: transformers 4.49, generation/logits_process.py, RepetitionPenaltyLogitsProcessor, MinLengthLogitsProcessor
 */
export const penalizeLogits = defineKernel({
  name: 'penalizeLogits',
  code: new URL('./penalizeLogits.wgsl', import.meta.url),
  helpers: [flatGroup, banned, finite],
  bindings: {
    logits: readWrite('f32', [1, 'vocab']),
    tokenState: readWrite('u32', ['vocab']),
    history: readWrite('u32', ['context']),
    token: read('u32', [1]),
    length: read('u32', [1]),
  },
  params: {
    promptLength: 'u32',
    minLength: 'u32',
    repetitionPenalty: 'f32',
    presencePenalty: 'f32',
    frequencyPenalty: 'f32',
  },
  constants: { WORKGROUP_SIZE: 64 },
  dispatch: ({ vocab }, { WORKGROUP_SIZE }) => [Math.ceil(vocab / WORKGROUP_SIZE)],
  reference: penalizeLogitsReference,
  cases: [
    penaltyCase('all penalties, odd size', 997, { length: 30, minLength: 0 }),
    penaltyCase('one token', 1, { length: 12, minLength: 0 }),
    penaltyCase('too short: the end tokens are banned', 71, { length: 12, minLength: 13 }),
    penaltyCase('just long enough', 71, { length: 13, minLength: 13 }),
    penaltyCase('the prompt alone: no token is new', 71, { length: 10, minLength: 0 }),
    penaltyCase('the 7B vocabulary', 152_064, { length: 40, minLength: 0 }, 20),
    penaltyCase('zeros', 71, { length: 12, minLength: 0 }, 0),
    {
      ...penaltyCase('not finite: left as it is, a ban does not hide it', 3, { length: 10, minLength: 13 }),
      inputs: (sizes) => ({
        ...penaltyInputs(sizes),
        logits: Float32Array.of(-Infinity, Infinity, 1),
        tokenState: Uint32Array.of(END_TOKEN + 3, END_TOKEN + 3, 3),
      }),
    },
  ],
  tolerance: {
    abs: 1e-6,
    rel: 3e-7,
    reason: 'one product or quotient (2.5 ulp), two differences: about 5 roundings of 2^-24',
  },
});

function penaltyCase(
  name: string,
  vocab: number,
  { length, minLength }: { length: number; minLength: number },
  scale = 1,
): KernelCase {
  const penalties = { repetitionPenalty: 1.3, presencePenalty: 0.5, frequencyPenalty: 0.25 };
  const sizes = { vocab, context: 40, promptLength: 10, length, minLength, ...penalties };
  return { name, sizes, scale, inputs: penaltyInputs };
}

/** Every third token was in the prompt, every fourth in the answer, every fifth ends one; the last one was chosen just now. */
function penaltyInputs({ vocab, context, length }: Readonly<Record<string, number>>) {
  const tokenState = Uint32Array.from({ length: vocab }, (_, id) => {
    return (
      (id % 3 === 0 ? IN_PROMPT : 0) + (id % 5 === 0 ? END_TOKEN : 0) + (id % 4 === 0 ? 1 + (id % 7) : 0)
    );
  });
  const history = Uint32Array.from({ length: context }, (_, i) => i);
  return { tokenState, history, token: Uint32Array.of(vocab - 1), length: Uint32Array.of(length) };
}
