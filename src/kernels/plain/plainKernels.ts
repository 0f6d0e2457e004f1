import { add } from './add.ts';
import { causalAttention } from './causalAttention.ts';
import { decodeAttention } from './decodeAttention.ts';
import { embed } from './embed.ts';
import { gatherRows } from './gatherRows.ts';
import { gelu } from './gelu.ts';
import { gemv } from './gemv.ts';
import { l2Normalize } from './l2Normalize.ts';
import { matmul } from './matmul.ts';
import { mRope } from './mRope.ts';
import { rmsNorm } from './rmsNorm.ts';
import { scatterRows } from './scatterRows.ts';
import { siluGate } from './siluGate.ts';
import { visionAttention } from './visionAttention.ts';
import { visionRope } from './visionRope.ts';
import { writeKv } from './writeKv.ts';

/** Each step of docs/MODEL.md: what the graph calls. */
export const plainKernels = {
  add,
  causalAttention,
  decodeAttention,
  embed,
  gatherRows,
  gelu,
  gemv,
  l2Normalize,
  matmul,
  mRope,
  rmsNorm,
  scatterRows,
  siluGate,
  visionAttention,
  visionRope,
  writeKv,
};

export type PlainKernels = typeof plainKernels;
