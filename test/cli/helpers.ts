import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { vi } from 'vitest';
import type { Command } from '../../src/cli/command.ts';
import { M2Reasoning } from '../../src/model/m2Reasoning.ts';
import { sharedGpu } from '../sharedGpu.ts';

export const root = fileURLToPath(new URL('../..', import.meta.url));
export const bundledModel = join(root, 'weights', 'm2-tiny');
const cli = join(root, 'dist', 'cli.node.js'); // built by test/buildOnce.ts

export interface Ended {
  readonly exitCode: number | null;
  readonly stdout: string;
  /** The lines on stderr, without those written by Dawn and the Vulkan driver. */
  readonly errorLines: readonly string[];
}

/** Runs a program to its end. If it hangs, it is killed and has no exit code. */
export function runToEnd(
  program: string,
  args: readonly string[],
  {
    env = {},
    onStart,
  }: { env?: NodeJS.ProcessEnv; onStart?: (child: ReturnType<typeof spawn>) => void } = {},
): Promise<Ended> {
  const child = spawn(program, args, {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
    killSignal: 'SIGKILL',
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  onStart?.(child);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exitCode) => {
      const isOurs = (line: string) =>
        line !== '' && !line.startsWith('Warning: ') && !line.startsWith('    at ');
      resolve({ exitCode, stdout, errorLines: stderr.split('\n').filter(isOurs) });
    });
  });
}

export function m2(args: readonly string[], options?: Parameters<typeof runToEnd>[2]): Promise<Ended> {
  return runToEnd(process.execPath, [cli, ...args], options);
}

/**
 * Runs a command in this process, on the shared device. Only one at a time, because it captures all output of this process. How
 * `m2` turns errors into exit codes is left to tests that start a process.
 *
 * @returns the output and the exit code
 * @throws the command's error, with its output so far in `written`
 */
export async function inProcess(
  command: Command,
  args: readonly string[],
  written: [stdout: string, stderr: string] = ['', ''],
): Promise<Ended> {
  const gpu = await sharedGpu();
  const { load } = M2Reasoning;
  const spies = [
    vi.spyOn(M2Reasoning, 'load').mockImplementation((from, options) => load(from, { ...options, gpu })),
    ...(['stdout', 'stderr'] as const).map((name, i) =>
      vi.spyOn(process[name], 'write').mockImplementation((text) => {
        written[i] += text;
        return true;
      }),
    ),
  ];
  try {
    const exitCode = await command.run(args, new AbortController().signal);
    return { exitCode, stdout: written[0], errorLines: written[1].split('\n').filter((line) => line !== '') };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}
