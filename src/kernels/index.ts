import { argmax } from './choose/argmax.ts';
import { banNgrams } from './choose/banNgrams.ts';
import { logSoftmax } from './choose/logSoftmax.ts';
import { penalizeLogits } from './choose/penalizeLogits.ts';
import { sampleToken } from './choose/sampleToken.ts';
import { tokenProbabilities } from './choose/tokenProbabilities.ts';
import { topK } from './choose/topK.ts';
import { attendToken, attendTokenSplits } from './fast/attention/attendToken.ts';
import { attentionScores } from './fast/attention/attentionScores.ts';
import { attentionValues } from './fast/attention/attentionValues.ts';
import { mergeSplits } from './fast/attention/mergeSplits.ts';
import { rotateAndCache } from './fast/attention/rotateAndCache.ts';
import { tokenAngles } from './fast/attention/tokenAngles.ts';
import { visionScores } from './fast/attention/visionScores.ts';
import { visionValues } from './fast/attention/visionValues.ts';
import { embedPanels } from './fast/linear/embedPanels.ts';
import { gemvInt8, gemvInt8Add, gemvInt8Gate } from './fast/linear/gemvInt8.ts';
import { gemvPanels, gemvPanelsAdd, gemvPanelsGate } from './fast/linear/gemvPanels.ts';
import {
  gemvPanelsSubgroup,
  gemvPanelsSubgroupAdd,
  gemvPanelsSubgroupGate,
} from './fast/linear/gemvPanelsSubgroup.ts';
import { matmulInt8, matmulInt8Add, matmulInt8Gate } from './fast/linear/matmulInt8.ts';
import { matmulInt8Quad, matmulInt8QuadAdd, matmulInt8QuadGate } from './fast/linear/matmulInt8Quad.ts';
import {
  matmulPanels,
  matmulPanelsAdd,
  matmulPanelsGate,
  matmulPanelsGelu,
} from './fast/linear/matmulPanels.ts';
import {
  matmulPanelsHalf,
  matmulPanelsHalfAdd,
  matmulPanelsHalfGate,
  matmulPanelsHalfGelu,
} from './fast/linear/matmulPanelsHalf.ts';
import {
  matmulPanelsQuad,
  matmulPanelsQuadAdd,
  matmulPanelsQuadGate,
  matmulPanelsQuadGelu,
} from './fast/linear/matmulPanelsQuad.ts';
import {
  matmulPanelsTiled,
  matmulPanelsTiledAdd,
  matmulPanelsTiledGate,
  matmulPanelsTiledGelu,
} from './fast/linear/matmulPanelsTiled.ts';
import { quantizePanels } from './fast/linear/quantizePanels.ts';
import { quantizeRows } from './fast/linear/quantizeRows.ts';
import { rowScales } from './fast/linear/rowScales.ts';
import { transposeRows } from './fast/linear/transposeRows.ts';
import { add } from './plain/add.ts';
import { causalAttention } from './plain/causalAttention.ts';
import { decodeAttention } from './plain/decodeAttention.ts';
import { embed } from './plain/embed.ts';
import { gatherRows } from './plain/gatherRows.ts';
import { gelu } from './plain/gelu.ts';
import { gemv } from './plain/gemv.ts';
import { l2Normalize } from './plain/l2Normalize.ts';
import { matmul } from './plain/matmul.ts';
import { mRope } from './plain/mRope.ts';
import { rmsNorm } from './plain/rmsNorm.ts';
import { scatterRows } from './plain/scatterRows.ts';
import { siluGate } from './plain/siluGate.ts';
import { visionAttention } from './plain/visionAttention.ts';
import { visionRope } from './plain/visionRope.ts';
import { writeKv } from './plain/writeKv.ts';

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

  // The fast ones, each in the place of some of those above: src/model/load/kernelChoice.ts.
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
