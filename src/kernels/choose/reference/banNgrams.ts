import type { ReferenceArrays } from '../../../gpu/declaration.ts';
import type { Symbols } from '../../../gpu/shapes.ts';

/** logits[id] = −∞ where id would complete an n-gram that the text already holds */
export function banNgramsReference(arrays: ReferenceArrays, { ngramSize, vocab }: Symbols) {
  const logits = arrays.logits.slice();
  const text = arrays.history.subarray(0, arrays.length[0]);
  const tail = text.subarray(text.length - (ngramSize - 1));
  for (let window = 0; window + ngramSize <= text.length; window++) {
    const beginning = text.subarray(window, window + ngramSize - 1);
    const id = text[window + ngramSize - 1];
    if (beginning.every((token, i) => token === tail[i]) && id < vocab) logits[id] = -Infinity;
  }
  return { logits };
}
