import { attendToken, attendTokenSplits } from './attention/attendToken.ts';
import { attentionScores } from './attention/attentionScores.ts';
import { attentionValues } from './attention/attentionValues.ts';
import { mergeSplits } from './attention/mergeSplits.ts';
import { rotateAndCache } from './attention/rotateAndCache.ts';
import { tokenAngles } from './attention/tokenAngles.ts';
import { visionScores } from './attention/visionScores.ts';
import { visionValues } from './attention/visionValues.ts';
import { embedPanels } from './linear/embedPanels.ts';
import { gemvInt8, gemvInt8Add, gemvInt8Gate } from './linear/gemvInt8.ts';
import { gemvPanels, gemvPanelsAdd, gemvPanelsGate } from './linear/gemvPanels.ts';
import {
  gemvPanelsSubgroup,
  gemvPanelsSubgroupAdd,
  gemvPanelsSubgroupGate,
} from './linear/gemvPanelsSubgroup.ts';
import { matmulInt8, matmulInt8Add, matmulInt8Gate } from './linear/matmulInt8.ts';
import { matmulInt8Quad, matmulInt8QuadAdd, matmulInt8QuadGate } from './linear/matmulInt8Quad.ts';
import { matmulPanels, matmulPanelsAdd, matmulPanelsGate, matmulPanelsGelu } from './linear/matmulPanels.ts';
import {
  matmulPanelsHalf,
  matmulPanelsHalfAdd,
  matmulPanelsHalfGate,
  matmulPanelsHalfGelu,
} from './linear/matmulPanelsHalf.ts';
import {
  matmulPanelsQuad,
  matmulPanelsQuadAdd,
  matmulPanelsQuadGate,
  matmulPanelsQuadGelu,
} from './linear/matmulPanelsQuad.ts';
import {
  matmulPanelsTiled,
  matmulPanelsTiledAdd,
  matmulPanelsTiledGate,
  matmulPanelsTiledGelu,
} from './linear/matmulPanelsTiled.ts';
import { quantizePanels } from './linear/quantizePanels.ts';
import { quantizeRows } from './linear/quantizeRows.ts';
import { rowScales } from './linear/rowScales.ts';
import { transposeRows } from './linear/transposeRows.ts';

/** What takes the place of plain kernels, by the forms of src/model/fast. */
export const fastKernels = {
  attendToken,
  attendTokenSplits,
  attentionScores,
  attentionValues,
  mergeSplits,
  rotateAndCache,
  tokenAngles,
  visionScores,
  visionValues,
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
  quantizePanels,
  quantizeRows,
  rowScales,
  transposeRows,
};

export type FastKernels = typeof fastKernels;
