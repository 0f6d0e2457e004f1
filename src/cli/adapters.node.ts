/** `m2 adapters`: shows the adapter that all commands use. */
import { type Gpu, openGpu } from '../gpu/device.ts';
import { driverChosen } from '../gpu/softwareAdapter.node.ts';
import type { Command } from './command.ts';
import { onlyPositional, parseFlags, UsageError } from './options.node.ts';
import { columns } from './text.ts';

const HELP = `m2 adapters

Shows the adapter that all commands use: name, driver, features and limits. On Linux,
VK_DRIVER_FILES selects another driver.

  --json    one JSON object instead of text
`;

const FLAGS = { json: { type: 'boolean' } } as const;

const LIMITS = [
  'maxStorageBufferBindingSize',
  'maxBufferSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupsPerDimension',
] as const;

export const adapters: Command = { help: HELP, run };

async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseFlags(args, FLAGS);
  const extra = onlyPositional(positionals, 'command');
  if (extra !== undefined) throw new UsageError(`adapters takes no argument, got ${JSON.stringify(extra)}`);

  const chosen = driverChosen();
  const gpu = await openGpu();
  const adapter = describeAdapter(gpu, driverSource(chosen));
  gpu.destroy();
  process.stdout.write(values.json ? `${JSON.stringify(adapter)}\n` : columns(adapterRows(adapter)));
  return 0;
}

/** @param chosenBefore whether the user had chosen a driver; opening the fallback sets the same variable */
function driverSource(chosenBefore: boolean): string {
  const { VK_DRIVER_FILES, VK_ICD_FILENAMES } = process.env;
  if (chosenBefore) return `${VK_DRIVER_FILES || VK_ICD_FILENAMES} (chosen by the environment)`;
  if (driverChosen()) return `${VK_DRIVER_FILES} (SwiftShader on the CPU: no other driver was found)`;
  return "the system's own";
}

function describeAdapter({ description, device, info }: Gpu, driver: string) {
  const { vendor, architecture } = info;
  const features = [...device.features].toSorted();
  const limits = Object.fromEntries(LIMITS.map((name) => [name, device.limits[name]]));
  return { description, vendor, architecture, driver, features, limits };
}

function adapterRows(adapter: ReturnType<typeof describeAdapter>): string[][] {
  const { description, vendor, architecture, driver, features, limits } = adapter;
  return [
    ['adapter', description],
    ['vendor', vendor || 'not reported'],
    ['architecture', architecture || 'not reported'],
    ['driver', driver],
    ['features', features.join(', ') || 'none'],
    ...Object.entries(limits).map(([name, value]) => [name, String(value)]),
  ];
}
