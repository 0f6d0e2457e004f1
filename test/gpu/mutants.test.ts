/** Would the cases of a kernel notice a mistake in its text? Each of these mistakes is made on purpose, and must be found. */
import { afterAll, describe, expect, it } from 'vitest';
import { contractBytes } from '../../src/gpu/benchKernel.ts';
import { checkKernel } from '../../src/gpu/checkKernel.ts';
import { kernelText } from '../../src/gpu/compile.ts';
import type { KernelCase, KernelDeclaration } from '../../src/gpu/declaration.ts';
import { openGpu } from '../../src/gpu/device.ts';
import { defineKernel, type Kernel } from '../../src/gpu/kernel.ts';
import type { WeightDtype } from '../../src/gpu/weightFormats.ts';
import { kernels } from '../../src/kernels/index.ts';

interface Mutant {
  readonly kernel: keyof typeof kernels;
  readonly broken: string;
  /** Stands exactly once in the text and its helpers. */
  readonly find: string;
  readonly replace: string;
  /** How weights are stored, and whether in pieces; default bf16, whole. */
  readonly weights?: 'f32' | 'f16' | 'split';
}

const NEW_KEY_BARRIER =
  'storageBarrier();  // other threads read what this one has stored\n  workgroupBarrier();';
const PIECE_COL = 'let col = params.weightFirstRow + pieceCol;';

const MUTANTS: readonly Mutant[] = [
  mutant('add', 'a sign', 'hidden[index] += delta', 'hidden[index] -= delta'),
  mutant('add', 'a wrong index', '+= delta[index]', '+= delta[index / 2u]'),
  mutant('argmax', 'the highest id of equal ones', 'b.id < a.id', 'b.id > a.id'),
  mutant('argmax', 'the tree begins one level too low', 'WORKGROUP_SIZE / 2u', 'WORKGROUP_SIZE / 4u'),
  mutant(
    'banNgrams',
    'the tail begins one too early',
    'length[0] - tailLength;',
    'length[0] - params.ngramSize;',
  ),
  mutant('banNgrams', 'a window past the text', 'window + params.ngramSize >', 'window + 1u >'),
  mutant('causalAttention', 'the own position is left out', 'start[0] + token + 1u', 'start[0] + token'),
  mutant('causalAttention', 'the wrong key head', 'head / (heads / params.kvHeads)', 'head % params.kvHeads'),
  mutant('causalAttention', 'no shrinking', 'values[i / 2u] * shrink', 'values[i / 2u]'),
  mutant(
    'decodeAttention',
    'a key too many in the sum',
    '* scale, key < keyCount',
    '* scale, key <= keyCount',
  ),
  mutant(
    'decodeAttention',
    'a key of the last tile is dropped',
    'keyCount - tileStart)',
    'keyCount - tileStart - 1u)',
  ),
  mutant('embed', 'ids are not clipped', 'min(ids[token], params.vocab - 1u)', 'ids[token] % params.vocab'),
  mutant('embed', 'row and column', 'index % params.dim', 'index / params.tokens'),
  mutant('gatherRows', 'the inverse order', 'x[index[row] * params.dim', 'x[row * params.dim'),
  mutant('gatherRows', 'row and column', 'outIndex / params.dim', 'outIndex % params.dim'),
  mutant('gelu', 'the wrong scale of erf', '0.70710678', '0.7071'),
  mutant('gelu', 'the sign of large values', 'return sign(v) * ', 'return '),
  mutant('gemv', 'one of the four sums', 'sums.z + sums.w', 'sums.z'),
  mutant('gemv', 'a dropped tail', 'k = wholeSteps', 'k = wholeSteps + 1u'),
  mutant(
    'l2Normalize',
    'no root',
    'max(sqrt(workgroupSum(sumOfSquares, thread))',
    'max((workgroupSum(sumOfSquares, thread))',
  ),
  mutant('l2Normalize', 'no smallest length', ', params.eps)', ', 0.0 * params.eps)'),
  mutant('logSoftmax', 'the largest is not taken off', 'exp(scores[i] - largest)', 'exp(scores[i])'),
  mutant('logSoftmax', 'a sign', '- largest - logSum', '- largest + logSum'),
  mutant('mRope', 'a sign', 'a * c - b * s', 'a * c + b * s'),
  mutant('mRope', 'the first position', 'position - params.firstPosition', 'position'),
  mutant('mRope', 'the start in the cache', 'params.context + start[0] + token', 'params.context + token'),
  mutant('matmul', 'a row of the tile', 'firstRow + 3u, firstCol, acc3', 'firstRow + 3u, firstCol, acc2'),
  mutant(
    'matmul',
    'the last column',
    'firstCol + n < params.weightRows',
    'firstCol + n + 1u < params.weightRows',
  ),
  mutant('penalizeLogits', 'product and quotient', 'logit < 0.0', 'logit > 0.0'),
  mutant(
    'penalizeLogits',
    'one token too early',
    'length[0] < params.minLength',
    'length[0] <= params.minLength',
  ),
  mutant('penalizeLogits', 'history, one too late', 'history[length[0] - 1u]', 'history[length[0]]'),
  mutant('rmsNorm', 'the mean', '/ f32(params.dim)', '/ f32(params.dim + 1u)'),
  mutant(
    'rmsNorm',
    'the stride of the threads',
    'i = thread; i < params.dim; i += WORKGROUP_SIZE) {\n    out',
    'i = thread; i < params.dim; i += WORKGROUP_SIZE + 1u) {\n    out',
  ),
  mutant(
    'sampleToken',
    'the number of another step',
    'params.seedHigh, length[0])',
    'params.seedHigh, length[0] + 1u)',
  ),
  mutant('scatterRows', 'the order', 'hidden[index[row] * params.dim', 'hidden[row * params.dim'),
  mutant('siluGate', 'gate and up', 'gate / (1.0 + exp(-gate)) * up', 'up / (1.0 + exp(-up)) * gate'),
  mutant(
    'siluGate',
    'halves instead of pairs',
    'gateUp[2u * index + 1u]',
    'gateUp[index + arrayLength(&out)]',
  ),
  mutant(
    'tokenProbabilities',
    'the ties that are dropped',
    'tiesBefore >= cut.tiesDropped',
    'tiesBefore > cut.tiesDropped',
  ),
  mutant('topK', 'the higher id of equal ones', 'a.id < b.id', 'a.id > b.id'),
  mutant(
    'visionAttention',
    'a key of the next segment',
    '[2u * patchIndex + 1u]; key++',
    '[2u * patchIndex + 1u] + 1u; key++',
  ),
  mutant('visionAttention', 'no scale', '(dots.x + dots.y) * scale', 'dots.x + dots.y'),
  mutant('visionRope', 'a sign', 'b * c + a * s', 'b * c - a * s'),
  mutant(
    'visionRope',
    'values are rotated, keys are not',
    '2u * params.numHeads * params.halfDim;',
    'params.numHeads * params.halfDim;',
  ),
  mutant('writeKv', 'keys and values', 'qkv[keyIndex + kvDim]', 'qkv[keyIndex]'),
  mutant('writeKv', 'the start', 'start[0] + token) * params.headDim', 'token) * params.headDim'),
  mutant('attentionScores', 'a block too few', 'firstKey > start[0] +', 'firstKey >= start[0] +'),
  mutant(
    'attentionScores',
    'the wrong key head',
    '(kvHead * group + row % group)',
    '(row % group * params.kvHeads + kvHead)',
  ),
  mutant('attentionScores', 'no scale', '= sum2 * scale', '= sum2'),
  mutant('attentionScores', 'the last key', 'vec4u(params.context - 1u)', 'vec4u(params.context - 2u)'),
  mutant('attentionValues', 'the own position is left out', 'row / group + 1u;', 'row / group;'),
  mutant('attentionValues', 'a row of the next one', 'keyWeight.y * rightValue', 'keyWeight.z * rightValue'),
  mutant('attentionValues', 'no shrinking', 'left2 * shrink.z', 'left2'),
  mutant('attentionValues', 'a key after the last of a row', '(key) < keyCount)', '(key) <= keyCount)'),
  mutant('attentionValues', 'the keys of the last row', '(key) < keyCount)', '(key) < vec4u(keyCount.w))'),
  mutant('embedPanels', 'upper and lower rows', 'inPanel >= 4u', 'inPanel < 4u'),
  mutant('embedPanels', 'f32: upper and lower rows', '+ inPanel / 4u]', '+ 1u - inPanel / 4u]', 'f32'),
  mutant('embedPanels', 'the first row of a piece', 'row = id - params.tableFirstRow', 'row = id', 'split'),
  mutant('gemvPanels', 'a dropped tail', 'k = wholeSteps', 'k = wholeSteps + 1u'),
  mutant('gemvPanels', 'upper and lower rows', 'words << vec4u(16u)', 'words & vec4u(0xffff0000u)'),
  mutant('gemvPanels', 'both halves of a word', 'words & vec4u(0xffff0000u)', 'words'),
  mutant('gemvPanels', 'f16: a row of the panel', 'row2.y, row3.y', 'row3.y, row2.y', 'f16'),
  mutant('gemvPanels', 'f32: the lower rows', 'weight[2u * i + 1u]', 'weight[2u * i]', 'f32'),
  mutant(
    'gemvPanels',
    'the first row of a piece',
    `${PIECE_COL}\n  let i`,
    'let col = pieceCol;\n  let i',
    'split',
  ),
  mutant('gemvPanels', 'the bias of another piece', 'sum + biasAt(col)', 'sum + biasAt(pieceCol)', 'split'),
  mutant('gemvPanelsAdd', 'nothing is added to', 'out[i] += value', 'out[i] = value'),
  mutant(
    'gemvPanelsAdd',
    'the last column',
    `sum: f32) {\n  if (pieceCol`,
    `sum: f32) {\n  if (pieceCol + 1u`,
  ),
  mutant('gemvPanelsGate', 'gate and up', 'upper.z, upper.w', 'upper.w, upper.z'),
  mutant('gemvPanelsGate', 'the bias of up', 'biasAt(col + 1u)', 'biasAt(col)'),
  mutant(
    'gemvPanelsGate',
    'the last column',
    'upSum: f32) {\n  if (pieceCol',
    'upSum: f32) {\n  if (pieceCol + 2u',
  ),
  mutant(
    'gemvPanelsGate',
    'the first row of a piece',
    `${PIECE_COL}\n  let gate`,
    'let col = pieceCol;\n  let gate',
    'split',
  ),
  mutant('gemvPanelsSubgroup', 'the stride of the lanes', 'k += SUBGROUP_SIZE', 'k += SUBGROUP_SIZE + 1u'),
  mutant('gemvPanelsSubgroup', 'the sum of one lane', 'subgroupAdd(lower1)', 'lower1'),
  mutant('gemvPanelsSubgroupAdd', 'the first panel twice', '(2u * subgroup + 1u,', '(2u * subgroup,'),
  mutant('gemvPanelsSubgroupGate', 'the next subgroup', 'firstCol = 16u * sub', 'firstCol = 8u * sub'),
  mutant('matmulPanels', 'a row of the next one', 'upper5, lower5)', 'upper6, lower5)'),
  mutant('matmulPanels', 'rows are not filled up', '(params.rows + 7u) / 8u * 2u', 'params.rows / 8u * 2u'),
  mutant('matmulPanelsAdd', 'one value of x', 'rows4to7.z * w.lower', 'rows4to7.w * w.lower'),
  mutant('matmulPanelsGate', 'the last row', 'if (row < params.rows)', 'if (row + 1u < params.rows)'),
  mutant('rotateAndCache', 'a sign', 'a * c - b * s', 'a * c + b * s'),
  mutant('rotateAndCache', 'the start in the cache', '= start[0] + token', '= token'),
  mutant('rotateAndCache', 'keys that have not turned', 'halfDim] = rotatedB', 'halfDim] = b'),
  mutant('rotateAndCache', 'values turn too', 'if (head >= firstValueHead)', 'if (head > firstValueHead)'),
  mutant('transposeRows', 'the last row', 'params.rows - 1u)', 'params.rows - 2u)'),
  mutant('transposeRows', 'a block too few', '* ROW_STEP / 4u;', '* ROW_STEP / 4u - 1u;'),
  mutant('transposeRows', 'odd rows read as whole vec4s', 'inDim % 4u == 0u', 'inDim % 4u < 4u'),
  mutant('visionScores', 'a block too few', 'firstKey + 3u < segments', 'firstKey + 2u < segments'),
  mutant('visionScores', 'the end of a block', 'firstKey >= segments', 'firstKey + 1u >= segments'),
  mutant('visionScores', 'keys and values', '+ hiddenSize + head', '+ 2u * hiddenSize + head'),
  mutant('visionValues', 'a key of the next segment', '(key) < endKey)', '(key) <= endKey)'),
  mutant('visionValues', 'no segments', '+ key], inside', '+ key], vec4<bool>(true)'),
  mutant('visionValues', 'no shrinking', 'right3 * shrink.w', 'right3'),
  mutant('gemvPanelsNorm', 'the mean', 'sumOfSquares / f32(params.inDim)', 'sumOfSquares'),
  mutant('gemvPanelsNorm', 'lower rows unscaled', 'sums.lower * scale', 'sums.lower'),
  mutant('gemvPanelsNormGate', 'a dropped sum', '(params.inDim + 7u) / 8u', 'params.inDim / 8u'),
  mutant('gemvPanelsAddScale', 'one square alone', 'sumOfSquares += value', 'sumOfSquares = value'),
  mutant('gemvPanelsAddScale', 'the gain', 'value * gainAt(col)', 'value'),
  mutant(
    'gemvPanelsAddScale',
    'the squares of another piece',
    'params.weightFirstRow / 8u + panel',
    'panel',
    'split',
  ),
  mutant('scaleForNorm', 'the last of eight', 'min(8u * eight + 8u', 'min(8u * eight + 7u'),
  mutant('matmulPanelsTiled', 'x past the last k', 'values, k < params.inDim)', 'values, true)'),
  mutant('matmulPanelsTiledAdd', 'the weights of the first step', 'COLUMN_WORDS * firstK + word', 'word'),
  mutant('matmulPanelsTiledGate', 'the first rows again', 'stageRows(group.y * ROW_VECS', 'stageRows(0u'),
  mutant('attendToken', 'the own key is missing', 'min(newKey + 1u - firstKey', 'min(newKey - firstKey'),
  mutant(
    'attendToken',
    'the own value is missing',
    'params.kvHeads + kvHead) * dimVecs + i]',
    'kvHead) * dimVecs + i]',
  ),
  mutant('attendToken', 'keys that have not turned', 'b * c + a * s', 'b'),
  mutant('attendToken', 'the last key of a block', 'vec4u(keyCount - 1u)', 'vec4u(keyCount)'),
  mutant('attendTokenSplits', 'no barrier after rotation', NEW_KEY_BARRIER, ''),
  mutant(
    'attendTokenSplits',
    'the last split ends one key early',
    'firstKey, params.splitKeys)',
    'firstKey, params.splitKeys - 1u)',
  ),
  mutant('attendTokenSplits', 'a split too many', 'firstKey > newKey', 'firstKey > newKey + 8u'),
  mutant('attendTokenSplits', 'no sum', 'largestScores(block) + log(weightSum)', 'largestScores(block)'),
  mutant('attendTokenSplits', 'the largest score of one thread', 'other < WORKGROUP_SIZE', 'other < 1u'),
  mutant('mergeSplits', 'no rescaling', 'exp(partials[row + dimVecs].x - largest)', '1.0'),
  mutant('mergeSplits', 'the last split is left out', 'params.splitKeys + 1u', 'params.splitKeys'),
  mutant('mergeSplits', 'sums too large for exp', '.x - largest)', '.x)'),
  mutant('tokenAngles', 'one axis', 'axis[i] * params.context', '0u * params.context'),
];

const LARGEST_CASE_BYTES = 100_000; // larger cases take most of the time, and find nothing more
const SPLIT_BYTES = 2100; // a panel of the cases' longest rows fits, and so does the longest bias: only one binding may be split

const gpu = await openGpu();
const splitting = await openGpu({ maxBindingBytes: SPLIT_BYTES });
afterAll(() => {
  gpu.destroy();
  splitting.destroy();
});

describe('a mistake is found', () => {
  it.each(MUTANTS)('$kernel: $broken', async ({ kernel: name, find, replace, weights }) => {
    const { declaration } = kernels[name] as unknown as Kernel;
    const text = await kernelText(gpu, declaration);
    expect(text.split(find)).toHaveLength(2);

    const broken = { ...declaration, code: text.replace(find, replace), helpers: [] };
    expect(await wrongRows(broken, weights)).not.toEqual([]);
  });

  it('in every kernel', () => {
    const broken = new Set(MUTANTS.map(({ kernel }) => kernel));
    expect(Object.keys(kernels).filter((name) => !broken.has(name as 'add'))).toEqual([]);
  });
});

describe('weights in pieces are no mistake', () => {
  it.each(['embedPanels', 'gemvPanels', 'gemvPanelsGate'] as const)('%s', async (name) => {
    expect(await wrongRows((kernels[name] as unknown as Kernel).declaration, 'split')).toEqual([]);
  });
});

function mutant(
  kernel: keyof typeof kernels,
  broken: string,
  find: string,
  replace: string,
  weights?: Mutant['weights'],
): Mutant {
  return { kernel, broken, find, replace, weights };
}

/** Verdicts of the cheap cases that fail; all of them with weights of one dtype, so that the text is compiled once. */
async function wrongRows(declaration: KernelDeclaration, weights?: Mutant['weights']): Promise<string[]> {
  const weightDtype: WeightDtype = weights === 'f32' || weights === 'f16' ? weights : 'bf16';
  const cases = declaration.cases
    .filter((one) => isCheap(declaration, one))
    .map((one) => ({ ...one, weightDtype }));
  const kernel = defineKernel({ ...declaration, cases });
  const rows = await checkKernel(weights === 'split' ? splitting : gpu, kernel);
  return rows.filter(({ ok }) => !ok).map(({ verdict }) => verdict);
}

function isCheap(declaration: KernelDeclaration, { sizes }: KernelCase): boolean {
  return contractBytes(declaration, sizes, 'f32') <= LARGEST_CASE_BYTES;
}
