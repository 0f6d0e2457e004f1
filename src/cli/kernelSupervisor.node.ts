/** Runs an experiment in a process of its own, so that an endless loop in a kernel can be stopped; with --watch on each save. */
import { spawn } from 'node:child_process';
import { type FSWatcher, watch } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { GpuError, KernelError, M2Error } from '../errors.ts';
import type { Experiment } from './kernelExperiment.node.ts';
import { fileOf, standardKernel } from './kernelSource.node.ts';
import { oneLine } from './text.ts';

export interface Supervised {
  /** The arguments of the `m2` command. */
  readonly args: readonly string[];
  readonly experiment: Experiment;
  readonly timeoutS: number;
}

const SAVE_MS = 100; // wait this long, because editors write a file in several steps

/**
 * Runs the experiment in a child process.
 *
 * @returns the process's exit code; 0 if the signal ended it
 * @throws KernelError KERNEL_TIMEOUT at the deadline; GpuError GPU_LOST if the process crashed
 */
export async function superviseExperiment(
  { args, experiment, timeoutS }: Supervised,
  signal: AbortSignal,
): Promise<number> {
  const target = experiment.file ?? experiment.name;
  const child = spawn(process.execPath, [process.argv[1], ...args, '--in-process'], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const deadline = AbortSignal.timeout(timeoutS * 1000);
  const kill = () => child.kill('SIGKILL');
  const stop = AbortSignal.any([signal, deadline]);
  stop.addEventListener('abort', kill);
  const ended = new Promise<[number | null, string | null]>((done, fail) => {
    child.on('error', fail);
    child.on('exit', (exitCode, crash) => done([exitCode, crash]));
  });
  try {
    if (stop.aborted) kill();
    const [exitCode, crash] = await ended;
    if (exitCode !== null) return exitCode;
    if (signal.aborted) return 0;
    if (deadline.aborted) {
      throw new KernelError('KERNEL_TIMEOUT', `${target} was stopped after ${timeoutS} s`, {
        kernel: experiment.name,
        hint: 'look for an endless loop, or give a larger --timeout-s',
      });
    }
    throw new GpuError('GPU_LOST', `the process that ran ${target} crashed (${crash})`, {
      hint: 'possible causes are an index far out of range and a bug in the driver',
    });
  } finally {
    stop.removeEventListener('abort', kill);
  }
}

/** Called in the child process: exits when the supervisor is gone. */
export function endWithSupervisor(): void {
  process.once('disconnect', () => process.exit(1));
  process.channel?.unref(); // the channel alone must not keep the process alive
}

/** Runs the experiment now and whenever a file in its folder is saved, until the signal ends it. */
export async function watchExperiment(supervised: Supervised, signal: AbortSignal): Promise<number> {
  const folder = folderOf(supervised.experiment);
  const watcher = watch(folder);
  try {
    while (!signal.aborted) {
      const saved = new AbortController();
      const ended = runOnce(supervised, AbortSignal.any([signal, saved.signal]), folder);
      await nextSave(watcher, signal);
      saved.abort(); // a run that is still going has the old text
      await ended;
      await sleep(SAVE_MS);
    }
  } finally {
    watcher.close();
  }
  return 0;
}

async function runOnce(supervised: Supervised, signal: AbortSignal, folder: string): Promise<void> {
  try {
    await superviseExperiment(supervised, signal);
  } catch (error) {
    if (!(error instanceof M2Error)) throw error;
    process.stderr.write(`m2: ${oneLine(`${error.code}: ${error.message}`)}\n`);
  }
  if (!signal.aborted) process.stderr.write(`watching ${folder}\n`);
}

/** Resolves when a .wgsl or .js file is saved, or when the signal is aborted. */
function nextSave(watcher: FSWatcher, signal: AbortSignal): Promise<void> {
  return new Promise((done, fail) => {
    const onChange = (_: string, file: string | Buffer | null) => {
      if (/\.(wgsl|m?js)$/.test(String(file))) finish();
    };
    const finish = () => {
      watcher.off('change', onChange);
      watcher.off('error', fail);
      signal.removeEventListener('abort', finish);
      done();
    };
    watcher.on('change', onChange);
    watcher.on('error', fail);
    signal.addEventListener('abort', finish);
    if (signal.aborted) finish();
  });
}

function folderOf({ name, file }: Experiment): string {
  if (file !== undefined) return dirname(resolve(file));
  return dirname(resolve(name.endsWith('js') ? name : fileOf(standardKernel(name).declaration)));
}
