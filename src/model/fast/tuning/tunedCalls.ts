/** The calls of a model for which its kernels are tuned. */
import type { KernelCase } from '../../../gpu/declaration.ts';
import type { WeightDtype } from '../../../gpu/weightFormats.ts';
import { tokenCase } from '../../../kernels/fast/attention/attendToken.ts';
import { attentionCase } from '../../../kernels/fast/attention/attentionScores.ts';
import type { ModelConfig } from '../../checkpoint/config.ts';
import { FEW_ROWS } from '../../graph/linear.ts';
import { shapeClass, type TunedKernel } from '../variants.ts';

/** A kernel call that a model makes. */
export interface TunedCall {
  readonly kernel: TunedKernel;
  readonly shapeClass: string;
  readonly kernelCase: KernelCase;
  /** In all layers together. In each shape class the call with the most is timed. */
  readonly multiplyAdds: number;
}

const MANY_ROWS = 256; // a prompt
const CONTEXT = 1024;
const TOKEN_CONTEXT = 128; // the keys of one workgroup of attendToken on a GPU, and a short answer elsewhere
const MAX_VALUES = 16 * 2 ** 20; // larger weights are timed with only their first columns

/** The calls of a model's layers. @param dtype storage format of its weights */
export function tunedCalls({ vision, llm }: ModelConfig, dtype: WeightDtype): TunedCall[] {
  const { hiddenSize, intermediateSize, headDim, numAttentionHeads: heads, numKeyValueHeads: kvHeads } = llm;
  const decoder = [
    ['qkv', (heads + 2 * kvHeads) * headDim, hiddenSize],
    ['o', hiddenSize, heads * headDim],
    ['gate and up', 2 * intermediateSize, hiddenSize],
    ['down', hiddenSize, intermediateSize],
  ] as const;
  const tower = [
    ['vision qkv', 3 * vision.hiddenSize, vision.hiddenSize],
    ['vision proj', vision.hiddenSize, vision.hiddenSize],
    ['vision gate and up', 2 * vision.intermediateSize, vision.hiddenSize],
    ['vision down', vision.hiddenSize, vision.intermediateSize],
  ] as const;
  const linear = (
    rows: number,
    layers: number,
    [name, outDim, inDim]: readonly [string, number, number],
  ) => ({
    kernel: rows === 1 ? ('gemvPanels' as const) : ('matmulPanels' as const),
    shapeClass: shapeClass(rows, { dtype, shape: [outDim, inDim] }),
    kernelCase: { name, sizes: { rows, inDim, outDim: timedColumns(inDim, outDim) }, weightDtype: dtype },
    multiplyAdds: layers * rows * inDim * outDim,
  });
  const attention = (kernel: 'attentionScores' | 'attentionValues', tokens: number) => ({
    kernel,
    shapeClass: shapeClass(tokens),
    kernelCase: attentionCase(
      'attention',
      { tokens, heads, kvHeads, headDim, context: CONTEXT },
      CONTEXT - tokens,
    ),
    multiplyAdds: llm.numHiddenLayers * tokens * heads * headDim * CONTEXT,
  });
  return [
    ...[1, FEW_ROWS, MANY_ROWS].flatMap((rows) =>
      decoder.map((layer) => linear(rows, llm.numHiddenLayers, layer)),
    ),
    linear(1, 1, ['head', llm.vocabSize, hiddenSize]),
    ...tower.map((layer) => linear(MANY_ROWS, vision.depth, layer)),
    {
      kernel: 'attendToken',
      shapeClass: shapeClass(1),
      kernelCase: tokenCase(
        'one token',
        { heads, kvHeads, headDim, context: TOKEN_CONTEXT },
        TOKEN_CONTEXT - 1,
      ),
      multiplyAdds: llm.numHiddenLayers * heads * headDim * TOKEN_CONTEXT,
    },
    ...[FEW_ROWS, MANY_ROWS].flatMap((tokens) => [
      attention('attentionScores', tokens),
      attention('attentionValues', tokens),
    ]),
  ];
}

function timedColumns(inDim: number, outDim: number): number {
  return Math.min(outDim, 64 * Math.ceil(MAX_VALUES / inDim / 64));
}
