/** `m2 tune`: finds the fastest variants of the kernels for this adapter and stores them for `m2 generate` and `m2 chat`. */
import { type Gpu, openGpu } from '../gpu/device.ts';
import { Checkpoint } from '../model/checkpoint/checkpoint.ts';
import { folderFiles } from '../model/checkpoint/checkpointFolder.node.ts';
import { readModelConfig } from '../model/checkpoint/config.ts';
import { type TunedCall, tunedCalls } from '../model/fast/tuning/tunedCalls.ts';
import { isSame, type TuneRow, tune as tuneKernels, variantName } from '../model/fast/tuning/tuning.ts';
import { forgetTuning, writeTuning } from '../model/fast/tuning/tuningCache.node.ts';
import { BUNDLED_MODEL } from './bundledModel.node.ts';
import type { Command } from './command.ts';
import { nonEmptyPath, parseFlags, UsageError } from './options.node.ts';
import { openProgress } from './progress.node.ts';
import { columns } from './text.ts';

const HELP = `m2 tune [--model DIR] [--json]
m2 tune --forget

Checks and times variants of the kernels for linear layers and attention, with the sizes of a
model. A variant is chosen over the default if it takes at least 8 % less time. The choice is
stored in the user's cache folder for this adapter, its driver and these kernels. m2 generate and
m2 chat then use it, unless CI or VITEST is set, or M2_TUNING=off.

  --model DIR    checkpoint folder with the sizes; default: the bundled m2-tiny
  --json         one JSON object instead of tables
  --forget       deletes the stored choice for this adapter
`;

const FLAGS = {
  model: { type: 'string' },
  json: { type: 'boolean' },
  forget: { type: 'boolean' },
} as const;

export const tune: Command = { help: HELP, run };

async function run(args: readonly string[], signal: AbortSignal): Promise<number> {
  const { values, positionals } = parseFlags(args, FLAGS);
  if (positionals.length > 0) {
    throw new UsageError(`tune takes flags only, got ${JSON.stringify(positionals[0])}`);
  }
  const folder = nonEmptyPath('--model', values.model);
  if (values.forget && (folder !== undefined || values.json)) {
    throw new UsageError("--forget can't be combined with other flags");
  }
  const calls = values.forget ? null : await callsOf(folder ?? BUNDLED_MODEL);
  const gpu = await openGpu();
  try {
    if (calls === null) {
      const file = await forgetTuning(gpu);
      process.stdout.write(file ? `deleted ${file}\n` : 'nothing is stored for this adapter\n');
    } else {
      process.stdout.write(await tuneAndKeep(gpu, calls, values.json ?? false, signal));
    }
  } finally {
    gpu.destroy();
  }
  return 0;
}

/** Reads the checkpoint before the GPU is opened, to report a wrong folder immediately. */
async function callsOf(folder: string): Promise<TunedCall[]> {
  const files = await folderFiles(folder);
  const config = await readModelConfig(files);
  const checkpoint = await Checkpoint.open(files, config);
  const { dtype } = checkpoint.entry('language_model.model.layers.0.mlp.down_proj.weight');
  await checkpoint.close();
  return tunedCalls(config, dtype);
}

async function tuneAndKeep(
  gpu: Gpu,
  calls: readonly TunedCall[],
  asJson: boolean,
  signal: AbortSignal,
): Promise<string> {
  const progress = openProgress(false);
  progress.line(`adapter: ${gpu.description}`);
  const onProgress = (doing: string) => {
    signal.throwIfAborted(); // an error thrown here ends the tuning
    progress.update(doing);
  };
  const { tuning, rows } = await tuneKernels(gpu, calls, { onProgress }).finally(progress.clear);
  const file = await writeTuning(gpu, tuning);
  if (asJson) return `${JSON.stringify({ adapter: gpu.description, file, rows })}\n`;
  return `${rows.map(table).join('\n')}\non ${gpu.description}\nstored in ${file}\n`;
}

function table({ kernel, shapeClass, case: name, candidates, chosen, gain }: TuneRow): string {
  const cells = candidates.map(({ variant, usPerCall, verdict }, i) => {
    const notes = [
      ...(i === 0 ? ['default'] : []),
      ...(chosen && isSame(variant, chosen) ? [i === 0 ? 'kept' : chosenNote(gain)] : []),
      ...(verdict === 'ok' ? [] : [`wrong: ${verdict}`]),
    ];
    return [variantName(variant), usPerCall?.toFixed(1) ?? '-', notes.join(', ')];
  });
  return `${kernel}, ${shapeClass} (${name})\n${columns([['candidate', 'µs', ''], ...cells], [1], '  ')}`;
}

function chosenNote(gain: number | null): string {
  return gain === null ? 'chosen' : `chosen: ${gain.toFixed(2)} times as fast`;
}
