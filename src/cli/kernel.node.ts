/** `m2 kernel`: lists, shows, checks and times kernels, and creates new ones. */
import { kernels } from '../kernels/kernelSet.ts';
import type { Command } from './command.ts';
import { expectArguments, readExperiment } from './kernelExperiment.node.ts';
import { runExperiment } from './kernelRun.node.ts';
import { scaffoldKernel } from './kernelScaffold.node.ts';
import { fileOf, ownText, standardKernel } from './kernelSource.node.ts';
import { endWithSupervisor, superviseExperiment, watchExperiment } from './kernelSupervisor.node.ts';
import { contractText, listText } from './kernelText.ts';
import { nonEmptyPath, parseFlags, UsageError } from './options.node.ts';

const HELP = `m2 kernel list | show | check | bench | new

  list                        the model's kernels: formula, shapes, constants
  show NAME                   a kernel's file, contract and WGSL text
  check NAME                  compares a kernel's results with its CPU reference
  check FILE.wgsl --as NAME   the same for your own text as a replacement of the kernel NAME
  bench NAME [FILE.wgsl]      checks and times a kernel; with a file, times it in turns with NAME
  new NAME [--dir DIR]        writes NAME.wgsl and NAME.js, a kernel to start from; never overwrites

In check and bench, NAME may also be a .js file that exports one kernel, like those that \`new\`
writes. They run in a process of their own, which is stopped at the deadline:

  --constants A=1,B=2   values for overrides of the text, e.g. WORKGROUP_SIZE=128
  --timeout-s S         the deadline; default 60 for check, 300 for bench
  --watch               run again whenever a .wgsl or .js file in the folder is saved
  --in-process          run in this process, without a deadline
  --json                one JSON object instead of a table

Only bench:

  --shape A=1,B=2       sizes to time; the others are the 7B's, if a case has those
  --dtype TYPE          storage format of weights: f32, bf16 (default) or f16
`;

export const kernel: Command = { help: HELP, run };

async function run([action, ...args]: readonly string[], signal: AbortSignal): Promise<number> {
  if (action === 'list') return list(args);
  if (action === 'show') return show(args);
  if (action === 'new') return create(args);
  if (action === 'check' || action === 'bench') {
    const { experiment, inProcess, watch, timeoutS } = readExperiment(action, args);
    if (inProcess) {
      endWithSupervisor();
      return runExperiment(experiment);
    }
    const supervised = { args: ['kernel', action, ...args], experiment, timeoutS };
    return watch ? watchExperiment(supervised, signal) : superviseExperiment(supervised, signal);
  }
  const known = 'expected list, show, check, bench or new';
  throw new UsageError(action === undefined ? `no action, ${known}` : `unknown action ${action}, ${known}`);
}

async function list(args: readonly string[]): Promise<number> {
  expectArguments(parseFlags(args, {}).positionals, []);
  const texts = await Promise.all(
    Object.values(kernels).map(async ({ declaration }) => listText(declaration, await ownText(declaration))),
  );
  process.stdout.write(texts.join('\n'));
  return 0;
}

async function show(args: readonly string[]): Promise<number> {
  const [name] = expectArguments(parseFlags(args, {}).positionals, ['NAME']);
  const { declaration } = standardKernel(name);
  const text = await ownText(declaration);
  process.stdout.write(`${fileOf(declaration)}\n\n${contractText(declaration)}\n${text}`);
  return 0;
}

async function create(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseFlags(args, { dir: { type: 'string' } });
  const [name] = expectArguments(positionals, ['NAME']);
  const [text, declaration] = await scaffoldKernel(name, nonEmptyPath('--dir', values.dir) ?? '.');
  process.stdout.write(`${text}\n${declaration}\nnext: m2 kernel check ${declaration} --watch\n`);
  return 0;
}
