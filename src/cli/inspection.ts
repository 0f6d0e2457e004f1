/** The result of `m2 inspect`, and its text form. */
import type { WeightEntry } from '../model/checkpoint/checkpoint.ts';
import type { ModelConfig } from '../model/checkpoint/config.ts';
import type { SplitTensor } from './splits.ts';
import { columns, formatBytes } from './text.ts';

/** The tensors of one file or one dtype. */
export interface Tally {
  readonly name: string;
  readonly tensors: number;
  readonly bytes: number;
}

export interface BindingLimit {
  /** null if there is neither an adapter nor the flag. */
  readonly maxBindingBytes: number | null;
  readonly source: string;
}

/** The output of `--json`. */
export interface Inspection {
  readonly model: string;
  readonly config: ModelConfig;
  readonly tensors: number;
  readonly bytes: number;
  readonly files: readonly Tally[];
  readonly dtypes: readonly Tally[];
  readonly largest: readonly WeightEntry[];
  readonly limit: BindingLimit;
  /** null if there is no limit. */
  readonly splits: readonly SplitTensor[] | null;
  readonly warnings: readonly string[];
}

/** The output without `--json`. */
export function describeInspection(inspection: Inspection): string {
  const { model, config, tensors, bytes, files, dtypes, largest, warnings } = inspection;
  const tallyRows = [...files, ...dtypes].map((tally) => [
    tally.name,
    `${tally.tensors} tensors`,
    formatBytes(tally.bytes),
  ]);
  return [
    `${model}\n`,
    ...warnings.map((warning) => `warning: ${warning}\n`),
    '\narchitecture\n',
    columns([...visionRows(config), ...decoderRows(config)], [], '  '),
    `\nweights: ${tensors} tensors, ${formatBytes(bytes)}\n`,
    columns(tallyRows, [1, 2], '  '),
    '\nlargest tensors\n',
    columns(largest.map(tensorRow), [3], '  '),
    `\n${describeSplits(inspection)}`,
  ].join('');
}

function visionRows({ vision, llm, mlpDepths }: ModelConfig): string[][] {
  const { depth, hiddenSize, numHeads, headDim, intermediateSize, patchSize, spatialMergeSize } = vision;
  const fullBlocks = vision.fullAttentionBlockIndexes.join(', ') || 'none';
  const merged = `${spatialMergeSize} x ${spatialMergeSize}`;
  return [
    [
      'vision',
      `${depth} blocks, width ${hiddenSize}, ${numHeads} heads of ${headDim}, MLP ${intermediateSize}`,
    ],
    ['patches', `${patchSize} x ${patchSize} pixels, merged ${merged}`],
    ['windows', `${vision.windowSize} pixels; full attention in blocks ${fullBlocks}`],
    ['projector', `${mlpDepths} linear layers, ${vision.outHiddenSize} to ${llm.hiddenSize}`],
  ];
}

function decoderRows({ llm }: ModelConfig): string[][] {
  const { numHiddenLayers, hiddenSize, numAttentionHeads, numKeyValueHeads, headDim, intermediateSize } = llm;
  const heads = `${numAttentionHeads} heads of ${headDim} over ${numKeyValueHeads} key/value heads`;
  const axes = llm.rope === 'none' ? 'one axis' : `sections ${llm.mropeSection.join(' + ')} (t, row, col)`;
  const output = llm.tieWordEmbeddings ? 'tied to the output matrix' : 'not tied to the output matrix';
  return [
    ['decoder', `${numHiddenLayers} layers, width ${hiddenSize}, ${heads}, MLP ${intermediateSize}`],
    ['rope', `${llm.rope}, ${axes}, theta ${llm.ropeTheta}`],
    ['context', `${llm.maxPositionEmbeddings} tokens`],
    ['vocabulary', `${llm.vocabSize} tokens, ${output}`],
  ];
}

function describeSplits({ limit: { maxBindingBytes, source }, splits }: Inspection): string {
  if (maxBindingBytes === null || splits === null) return `splits: unknown, ${source}\n`;
  const title = `splits under a binding limit of ${formatBytes(maxBindingBytes)} (${source})`;
  if (splits.length === 0) return `${title}: none\n`;
  const rows = splits.map((split) => [
    ...tensorRow(split),
    split.pieces === null
      ? `a ${split.layout === 'panels' ? 'panel of eight rows' : 'row'} is too long`
      : `${split.pieces} pieces`,
  ]);
  return `${title}\n${columns(rows, [3, 4], '  ')}`;
}

function tensorRow({ name, dtype, shape, sizeBytes }: WeightEntry | SplitTensor): string[] {
  return [name, dtype, `[${shape.join(', ')}]`, formatBytes(sizeBytes)];
}
