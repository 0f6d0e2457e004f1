import { argmax } from './argmax.ts';
import { banNgrams } from './banNgrams.ts';
import { logSoftmax } from './logSoftmax.ts';
import { penalizeLogits } from './penalizeLogits.ts';
import { sampleToken } from './sampleToken.ts';
import { topK } from './topK.ts';

/** From logits to a token. */
export const choosingKernels = {
  argmax,
  banNgrams,
  logSoftmax,
  penalizeLogits,
  sampleToken,
  topK,
};

export type ChoosingKernels = typeof choosingKernels;
