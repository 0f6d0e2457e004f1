import { add } from './add.ts';
import { argmax } from './argmax.ts';
import { attendToken, attendTokenSplits } from './attendToken.ts';
import { attentionScores } from './attentionScores.ts';
import { attentionValues } from './attentionValues.ts';
import { banNgrams } from './banNgrams.ts';
import { causalAttention } from './causalAttention.ts';
import { decodeAttention } from './decodeAttention.ts';
import { embed } from './embed.ts';
import { embedPanels } from './embedPanels.ts';
import { gatherRows } from './gatherRows.ts';
import { gelu } from './gelu.ts';
import { gemv } from './gemv.ts';
import { gemvInt8, gemvInt8Add, gemvInt8Gate } from './gemvInt8.ts';
import { gemvPanels, gemvPanelsAdd, gemvPanelsGate } from './gemvPanels.ts';
import { gemvPanelsSubgroup, gemvPanelsSubgroupAdd, gemvPanelsSubgroupGate } from './gemvPanelsSubgroup.ts';
import { l2Normalize } from './l2Normalize.ts';
import { logSoftmax } from './logSoftmax.ts';
import { matmul } from './matmul.ts';
import { matmulInt8, matmulInt8Add, matmulInt8Gate } from './matmulInt8.ts';
import { matmulInt8Quad, matmulInt8QuadAdd, matmulInt8QuadGate } from './matmulInt8Quad.ts';
import { matmulPanels, matmulPanelsAdd, matmulPanelsGate, matmulPanelsGelu } from './matmulPanels.ts';
import {
  matmulPanelsHalf,
  matmulPanelsHalfAdd,
  matmulPanelsHalfGate,
  matmulPanelsHalfGelu,
} from './matmulPanelsHalf.ts';
import {
  matmulPanelsQuad,
  matmulPanelsQuadAdd,
  matmulPanelsQuadGate,
  matmulPanelsQuadGelu,
} from './matmulPanelsQuad.ts';
import {
  matmulPanelsTiled,
  matmulPanelsTiledAdd,
  matmulPanelsTiledGate,
  matmulPanelsTiledGelu,
} from './matmulPanelsTiled.ts';
import { mergeSplits } from './mergeSplits.ts';
import { mRope } from './mRope.ts';
import { penalizeLogits } from './penalizeLogits.ts';
import { quantizePanels } from './quantizePanels.ts';
import { quantizeRows } from './quantizeRows.ts';
import { rmsNorm } from './rmsNorm.ts';
import { rotateAndCache } from './rotateAndCache.ts';
import { rowScales } from './rowScales.ts';
import { sampleToken } from './sampleToken.ts';
import { scatterRows } from './scatterRows.ts';
import { siluGate } from './siluGate.ts';
import { tokenAngles } from './tokenAngles.ts';
import { tokenProbabilities } from './tokenProbabilities.ts';
import { topK } from './topK.ts';
import { transposeRows } from './transposeRows.ts';
import { visionAttention } from './visionAttention.ts';
import { visionRope } from './visionRope.ts';
import { visionScores } from './visionScores.ts';
import { visionValues } from './visionValues.ts';
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

  // The fast ones, each in the place of some of those above: src/model/kernelChoice.ts.
  attendToken,
  attendTokenSplits,
  attentionScores,
  attentionValues,
  embedPanels,
  gemvInt8,
  gemvInt8Add,
  gemvInt8Gate,
  gemvPanels,
  gemvPanelsAdd,
  gemvPanelsGate,
  gemvPanelsSubgroup,
  gemvPanelsSubgroupAdd,
  gemvPanelsSubgroupGate,
  matmulInt8,
  matmulInt8Add,
  matmulInt8Gate,
  matmulInt8Quad,
  matmulInt8QuadAdd,
  matmulInt8QuadGate,
  matmulPanels,
  matmulPanelsAdd,
  matmulPanelsGate,
  matmulPanelsGelu,
  matmulPanelsHalf,
  matmulPanelsHalfAdd,
  matmulPanelsHalfGate,
  matmulPanelsHalfGelu,
  matmulPanelsQuad,
  matmulPanelsQuadAdd,
  matmulPanelsQuadGate,
  matmulPanelsQuadGelu,
  matmulPanelsTiled,
  matmulPanelsTiledAdd,
  matmulPanelsTiledGate,
  matmulPanelsTiledGelu,
  mergeSplits,
  quantizePanels,
  quantizeRows,
  rotateAndCache,
  rowScales,
  tokenAngles,
  transposeRows,
  visionScores,
  visionValues,
};

export type KernelSet = typeof kernels;
