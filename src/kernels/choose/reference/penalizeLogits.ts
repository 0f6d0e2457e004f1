import type { ReferenceArrays } from '../../../gpu/declaration.ts';
import type { Symbols } from '../../../gpu/shapes.ts';

/** The bits of a token's state beside its count; the same numbers stand in penalizeLogits.wgsl. */
export const IN_PROMPT = 0x80000000;
export const END_TOKEN = 0x40000000;

/** Counts the token chosen last, then logits[id] = penalised by what has come before, −∞ for an end token that is too early */
export function penalizeLogitsReference(arrays: ReferenceArrays, sizes: Symbols) {
  const [tokenState, history] = [arrays.tokenState.slice(), arrays.history.slice()];
  const [length] = arrays.length;
  const [token] = arrays.token;
  if (length > sizes.promptLength && token < sizes.vocab) {
    tokenState[token]++;
    history[length - 1] = token;
  }
  const logits = arrays.logits.map((logit, id) => {
    if (!Number.isFinite(logit)) return logit;
    const isIn = (flag: number) => (tokenState[id] & flag) !== 0;
    const count = tokenState[id] % END_TOKEN;
    if (isIn(END_TOKEN) && length < sizes.minLength) return -Infinity;
    let penalized = logit;
    if (isIn(IN_PROMPT) || count > 0) {
      penalized = logit < 0 ? logit * sizes.repetitionPenalty : logit / sizes.repetitionPenalty;
    }
    return count > 0 ? penalized - sizes.presencePenalty - sizes.frequencyPenalty * count : penalized;
  });
  return { logits, tokenState, history };
}
