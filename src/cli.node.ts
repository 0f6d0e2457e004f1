#!/usr/bin/env node
/** The `m2` command: runs the subcommand, and turns errors into a line on stderr and an exit code. */
import { readFile } from 'node:fs/promises';
import { adapters } from './cli/adapters.node.ts';
import { chat } from './cli/chat.node.ts';
import type { Command } from './cli/command.ts';
import { generate } from './cli/generate.node.ts';
import { inspect } from './cli/inspect.node.ts';
import { kernel } from './cli/kernel.node.ts';
import { UsageError } from './cli/options.node.ts';
import { parity } from './cli/parity.node.ts';
import { profile } from './cli/profile.node.ts';
import { oneLine } from './cli/text.ts';
import { tune } from './cli/tune.node.ts';
import {
  CheckpointError,
  ConfigError,
  GpuError,
  ImageError,
  InputError,
  KernelError,
  M2Error,
  ParityError,
  PromptError,
  ShapeError,
  TokenizerError,
} from './errors.ts';

const HELP = `m2 COMMAND, M2-Reasoning on WebGPU

  m2 generate    answers a question about images; without a question, the bundled example
  m2 chat        a conversation over several turns
  m2 inspect     shows a checkpoint: architecture, tensors, and weights that must be split
  m2 parity      compares the model with golden cases of the published code, stage by stage
  m2 kernel      lists, shows, checks and times kernels, and creates new ones
  m2 profile     shows how long each kernel takes in a prompt and in a decode step
  m2 tune        finds and stores the fastest variants of the kernels for this adapter
  m2 adapters    shows the GPU adapter in use

  m2 COMMAND --help    the flags of a command
  m2 --version         the version of this package

Exit codes: 0 success, 1 failure, 2 wrong usage, 3 wrong input (a file, image, model or prompt),
4 no GPU, or the GPU failed, 130 interrupted. M2_DEBUG=1 adds the stack trace to errors.
`;

const COMMANDS = new Map<string | undefined, Command>(
  Object.entries({ generate, chat, inspect, parity, kernel, profile, tune, adapters }),
);

const WRONG_USAGE = 2;
const WRONG_INPUT = 3;
const GPU_FAILED = 4;
const INTERRUPTED = 130;

const EXIT_CODES = [
  [WRONG_USAGE, [UsageError]],
  [
    WRONG_INPUT,
    [
      CheckpointError,
      ConfigError,
      TokenizerError,
      ImageError,
      PromptError,
      InputError,
      ParityError,
      ShapeError,
    ],
  ],
  [GPU_FAILED, [GpuError, KernelError]],
] as const;

/** The reason for ending early. */
class Stop extends Error {
  override readonly name = 'Stop';
  readonly exitCode: number;

  constructor(exitCode: number) {
    super('stopped');
    this.exitCode = exitCode;
  }
}

const stopping = new AbortController();

/** Asks the running command to end. It frees its resources, and then the process exits by itself. */
function stop(exitCode: number): void {
  stopping.abort(new Stop(exitCode));
  process.exitCode = exitCode; // in case the output fails after the command has ended
}

process.once('SIGINT', () => stop(INTERRUPTED)); // a second SIGINT ends the process immediately
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') return stop(0); // the reader, e.g. `head -1`, has closed the pipe
  if (stopping.signal.aborted) return; // already reported
  process.stderr.write(`m2: OUTPUT: stdout can't be written (${oneLine(error.message)})\n`);
  stop(1);
});
process.stderr.on('error', () => {}); // there is nowhere left to report it
process.once('uncaughtException', (error) => {
  process.exit(report(error)); // exit, because it is unknown what is still running
});

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  let exitCode: number;
  try {
    exitCode = await dispatch(args);
  } catch (error) {
    exitCode = stopping.signal.aborted ? 0 : report(error, args[0]);
  }
  const { aborted, reason } = stopping.signal;
  return aborted ? (reason as Stop).exitCode : exitCode;
}

async function dispatch([name, ...args]: readonly string[]): Promise<number> {
  if (name === '--help' || name === '-h') return print(HELP);
  if (name === '--version') return print(`${await packageVersion()}\n`);
  const command = COMMANDS.get(name);
  if (command === undefined) {
    const known = `expected ${[...COMMANDS.keys()].join(', ')}`;
    throw new UsageError(name === undefined ? `no command, ${known}` : `unknown command ${name}, ${known}`);
  }
  const end = args.indexOf('--'); // no flags after it
  const flags = end < 0 ? args : args.slice(0, end);
  if (flags.includes('--help') || flags.includes('-h')) return print(command.help);
  return command.run(args, stopping.signal);
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

async function packageVersion(): Promise<string> {
  const { version } = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8'));
  return version;
}

/** Writes one line about the error to stderr. @returns the exit code */
function report(error: unknown, commandName?: string): number {
  process.stderr.write(`m2: ${oneLine(describe(error, commandName))}\n`);
  if (process.env.M2_DEBUG === '1' && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  if (error instanceof M2Error && error.code === 'GEN_RANGE') return WRONG_USAGE; // a flag's value
  const [exitCode] = EXIT_CODES.find(([, kinds]) => kinds.some((kind) => error instanceof kind)) ?? [1];
  return exitCode;
}

function describe(error: unknown, commandName: string | undefined): string {
  if (error instanceof M2Error) return `${error.code}: ${error.message}`;
  if (error instanceof UsageError) {
    const help = COMMANDS.has(commandName) ? `m2 ${commandName} --help` : 'm2 --help';
    return `USAGE: ${error.message}; see ${help}`;
  }
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  return `unexpected: ${name}: ${message}; this is a bug, please report it with the output of M2_DEBUG=1`;
}
