/** `m2 inspect`: shows the contents of a checkpoint folder, from its config and headers alone. */
import { GpuError } from '../errors.ts';
import { openGpu } from '../gpu/device.ts';
import { Checkpoint, type WeightEntry } from '../model/checkpoint/checkpoint.ts';
import { folderFiles } from '../model/checkpoint/checkpointFolder.node.ts';
import { readModelConfig } from '../model/checkpoint/config.ts';
import { BUNDLED_MODEL } from './bundledModel.node.ts';
import type { Command } from './command.ts';
import { type BindingLimit, describeInspection, type Inspection, type Tally } from './inspection.ts';
import { nonEmptyPath, onlyPositional, parseFlags, positiveInteger } from './options.node.ts';
import { splitTensors, uploadedTensors } from './splits.ts';

const HELP = `m2 inspect [DIR]

Shows a checkpoint's architecture, files and tensors, and the weights that must be split over
several buffers. Reads only config.json and the files' headers. Default: the bundled m2-tiny.

  --max-binding-mib N    the largest binding in MiB; default: the adapter's limit
  --json                 one JSON object instead of text
`;

const FLAGS = { 'max-binding-mib': { type: 'string' }, json: { type: 'boolean' } } as const;
const LARGEST_SHOWN = 8;

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
  const inspection: Inspection = {
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
  process.stdout.write(values.json ? `${JSON.stringify(inspection)}\n` : describeInspection(inspection));
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
