import { add } from './add.ts';
import { argmax } from './argmax.ts';
import { banNgrams } from './banNgrams.ts';
import { causalAttention } from './causalAttention.ts';
import { decodeAttention } from './decodeAttention.ts';
import { embed } from './embed.ts';
import { gatherRows } from './gatherRows.ts';
import { gelu } from './gelu.ts';
import { gemv } from './gemv.ts';
import { l2Normalize } from './l2Normalize.ts';
import { logSoftmax } from './logSoftmax.ts';
import { matmul } from './matmul.ts';
import { mRope } from './mRope.ts';
import { penalizeLogits } from './penalizeLogits.ts';
import { rmsNorm } from './rmsNorm.ts';
import { sampleToken } from './sampleToken.ts';
import { scatterRows } from './scatterRows.ts';
import { siluGate } from './siluGate.ts';
import { tokenProbabilities } from './tokenProbabilities.ts';
import { topK } from './topK.ts';
import { visionAttention } from './visionAttention.ts';
import { visionRope } from './visionRope.ts';
import { writeKv } from './writeKv.ts';

/** Every kernel that the model calls; a user may replace any of them. */
export const kernels = {
  add,
  argmax,
  banNgrams,
  causalAttention,
  decodeAttention,
  embed,
  gatherRows,
  gelu,
  gemv,
  l2Normalize,
  logSoftmax,
  matmul,
  mRope,
  penalizeLogits,
  rmsNorm,
  sampleToken,
  scatterRows,
  siluGate,
  tokenProbabilities,
  topK,
  visionAttention,
  visionRope,
  writeKv,
};

export type KernelSet = typeof kernels;
