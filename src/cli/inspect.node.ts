/** `m2 inspect`: what a checkpoint folder holds, from its config and its headers alone. */
import { GpuError } from '../errors.ts';
import { openGpu } from '../gpu/device.ts';
import { Checkpoint, type WeightEntry } from '../model/checkpoint.ts';
import { folderFiles } from '../model/checkpointFolder.node.ts';
import { type ModelConfig, readModelConfig } from '../model/config.ts';
import { BUNDLED_MODEL } from './bundledModel.node.ts';
import type { Command } from './command.ts';
import { nonEmptyPath, onlyPositional, parseFlags, positiveInteger } from './options.node.ts';
import { type SplitTensor, splitTensors, uploadedTensors } from './splits.ts';
import { columns, formatBytes } from './text.ts';

const HELP = `m2 inspect [DIR]

Shows a checkpoint's architecture, files and tensors, and which weights an adapter has to split over several buffers.
Only config.json and the files' headers are read. DIR is the bundled m2-tiny by default.

  --max-binding-mib N    split under this limit, in MiB, instead of the adapter's
  --json                 one JSON object instead of text
`;

const FLAGS = { 'max-binding-mib': { type: 'string' }, json: { type: 'boolean' } } as const;
const LARGEST_SHOWN = 8;

interface Tally {
  readonly name: string;
  readonly tensors: number;
  readonly bytes: number;
}

interface BindingLimit {
  /** Null where there is neither an adapter nor a limit that was asked for. */
  readonly maxBindingBytes: number | null;
  readonly source: string;
}

interface Inspection {
  readonly model: string;
  readonly config: ModelConfig;
  readonly tensors: number;
  readonly bytes: number;
  readonly files: readonly Tally[];
  readonly dtypes: readonly Tally[];
  readonly largest: readonly WeightEntry[];
  readonly limit: BindingLimit;
  /** Null when there is no limit to split by. */
  readonly splits: readonly SplitTensor[] | null;
  readonly warnings: readonly string[];
}

export const inspect: Command = { help: HELP, run };

async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseFlags(args, FLAGS);
  const maxBindingMib = positiveInteger('--max-binding-mib', values['max-binding-mib']);
  const folder = nonEmptyPath('DIR', onlyPositional(positionals, 'folder')) ?? BUNDLED_MODEL;

  const files = folderFiles(folder);
  const config = await readModelConfig(files);
  const checkpoint = await Checkpoint.open(files, config);
  await checkpoint.close();
  const entries = [...checkpoint.entries.values()];
  const limit = await bindingLimit(maxBindingMib);
  const { maxBindingBytes } = limit;
  const inspection = {
    model: folder,
    config,
    tensors: entries.length,
    bytes: totalBytes(entries),
    files: tally(entries, ({ file }) => file),
    dtypes: tally(entries, ({ dtype }) => dtype),
    largest: entries.toSorted((a, b) => b.sizeBytes - a.sizeBytes).slice(0, LARGEST_SHOWN),
    limit,
    splits: maxBindingBytes === null ? null : splitTensors(uploadedTensors(entries), maxBindingBytes),
    warnings: checkpoint.warnings,
  };
  process.stdout.write(values.json ? `${JSON.stringify(inspection)}\n` : describe(inspection));
  return 0;
}

async function bindingLimit(maxBindingMib: number | undefined): Promise<BindingLimit> {
  if (maxBindingMib !== undefined) {
    return { maxBindingBytes: maxBindingMib * 2 ** 20, source: '--max-binding-mib' };
  }
  try {
    const gpu = await openGpu();
    gpu.destroy();
    return { maxBindingBytes: gpu.maxBindingBytes, source: gpu.description };
  } catch (error) {
    if (error instanceof GpuError) return { maxBindingBytes: null, source: error.message };
    throw error;
  }
}

function totalBytes(entries: readonly WeightEntry[]): number {
  return entries.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

function tally(entries: readonly WeightEntry[], nameOf: (entry: WeightEntry) => string): Tally[] {
  return [...new Set(entries.map(nameOf))].map((name) => {
    const group = entries.filter((entry) => nameOf(entry) === name);
    return { name, tensors: group.length, bytes: totalBytes(group) };
  });
}

function describe(inspection: Inspection): string {
  const { model, config, tensors, bytes, files, dtypes, largest, warnings } = inspection;
  const largestRows = largest.map(({ name, dtype, shape, sizeBytes }) => [
    name,
    dtype,
    `[${shape.join(', ')}]`,
    formatBytes(sizeBytes),
  ]);
  return [
    `${model}\n`,
    ...warnings.map((warning) => `warning: ${warning}\n`),
    `\narchitecture\n${columns(architecture(config), [], '  ')}`,
    `\nweights: ${tensors} tensors, ${formatBytes(bytes)}\n${columns([...files, ...dtypes].map(tallyRow), [1, 2], '  ')}`,
    `\nlargest tensors\n${columns(largestRows, [3], '  ')}`,
    `\n${describeSplits(inspection)}`,
  ].join('');
}

function tallyRow({ name, tensors, bytes }: Tally): string[] {
  return [name, `${tensors} tensors`, formatBytes(bytes)];
}

function architecture({ vision, llm, mlpDepths }: ModelConfig): string[][] {
  const full = vision.fullAttentionBlockIndexes.join(', ') || 'none';
  const sections =
    llm.rope === 'none' ? 'one axis' : `sections ${llm.mropeSection.join(' + ')} (t, row, col)`;
  return [
    [
      'vision',
      `${vision.depth} blocks, width ${vision.hiddenSize}, ${heads(vision)}, MLP ${vision.intermediateSize}`,
    ],
    ['windows', `${vision.windowSize} pixels; full attention in blocks ${full}`],
    [
      'patches',
      `${vision.patchSize} x ${vision.patchSize} pixels, merged ${vision.spatialMergeSize} x ${vision.spatialMergeSize}`,
    ],
    ['projector', `${mlpDepths} linear layers, ${vision.outHiddenSize} to ${llm.hiddenSize}`],
    [
      'decoder',
      `${llm.numHiddenLayers} layers, width ${llm.hiddenSize}, ${heads({ numHeads: llm.numAttentionHeads, headDim: llm.headDim })} ` +
        `over ${llm.numKeyValueHeads} key/value heads, MLP ${llm.intermediateSize}`,
    ],
    ['rope', `${llm.rope}, ${sections}, theta ${llm.ropeTheta}`],
    ['context', `${llm.maxPositionEmbeddings} tokens`],
    [
      'vocabulary',
      `${llm.vocabSize} tokens, ${llm.tieWordEmbeddings ? 'tied to' : 'not tied to'} the output matrix`,
    ],
  ];
}

function heads({ numHeads, headDim }: { numHeads: number; headDim: number }): string {
  return `${numHeads} heads of ${headDim}`;
}

function describeSplits({ limit: { maxBindingBytes, source }, splits }: Inspection): string {
  if (maxBindingBytes === null || splits === null) return `splits: unknown, ${source}\n`;
  const title = `splits under a binding limit of ${formatBytes(maxBindingBytes)} (${source})`;
  if (splits.length === 0) return `${title}: none\n`;
  const rows = splits.map(({ name, dtype, shape, sizeBytes, pieces }) => [
    name,
    dtype,
    `[${shape.join(', ')}]`,
    formatBytes(sizeBytes),
    pieces === null ? 'one row is too long' : `${pieces} pieces`,
  ]);
  return `${title}\n${columns(rows, [3, 4], '  ')}`;
}
