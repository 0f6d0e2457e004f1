/** What the commands that ask a model have in common: they load it, show its answer as it comes, and say how long it took. */
import type { Gpu } from '../gpu/device.ts';
import { readTuning } from '../model/fast/tuning/tuningCache.node.ts';
import type { GenerateProgress, GenerationResult } from '../model/generation/generateOptions.ts';
import type { LoadProgress } from '../model/load/weightLoader.ts';
import { type LoadOptions, M2Reasoning } from '../model/m2Reasoning.ts';
import type { Progress } from './progress.node.ts';
import { formatBytes, formatSeconds } from './text.ts';
import type { ThinkingStyle } from './thinking.ts';

/**
 * Runs the kernels that `m2 tune` chose, where it has.
 *
 * @throws as `M2Reasoning.load`; the signal's reason once it is aborted. Nothing stays open then
 */
export async function loadModel(
  folder: string,
  { precision }: Pick<LoadOptions, 'precision'>,
  progress: Progress,
  signal: AbortSignal,
): Promise<M2Reasoning> {
  const startedAt = performance.now();
  let loaded = '';
  const onProgress = ({ loadedBytes, totalBytes, tensor }: LoadProgress) => {
    signal.throwIfAborted(); // what is thrown here ends the load, and frees what it made
    loaded = formatBytes(totalBytes);
    progress.update(`loading ${Math.floor((100 * loadedBytes) / totalBytes)} % of ${loaded}: ${tensor}`);
  };
  let isTuned = false;
  const tuning = async (gpu: Gpu) => {
    const kept = isTuningOff() ? null : await readTuning(gpu);
    isTuned = kept !== null;
    return kept;
  };
  const model = await M2Reasoning.load(folder, { onProgress, tuning, precision }).finally(progress.clear);
  progress.line(`adapter: ${model.gpu.description}${isTuned ? ', with the kernels of m2 tune' : ''}`);
  progress.line(`model: ${folder}, ${loaded} loaded in ${formatSeconds(performance.now() - startedAt)}`);
  for (const warning of model.warnings) progress.line(`warning: ${warning}`);
  return model;
}

/** Where runs should be alike, whatever the machine found to be fast. */
function isTuningOff(): boolean {
  const { CI, VITEST, M2_TUNING } = process.env;
  return Boolean(CI || VITEST) || M2_TUNING === 'off';
}

/** For `onProgress` of a generation. */
export function showPrefill({ stage, tokensDone, promptTokens }: GenerateProgress, progress: Progress): void {
  if (stage === 'prefill') progress.update(`reading the prompt: ${tokensDone} of ${promptTokens} tokens`);
}

/** Writes an answer to stdout. @throws what ends the answer early */
export async function printAsItComes(
  answer: AsyncIterable<string>,
  progress: Progress,
  style?: ThinkingStyle,
): Promise<void> {
  let wroteText = false;
  try {
    for await (const piece of answer) {
      progress.clear();
      process.stdout.write(style ? style.push(piece) : piece);
      wroteText = true;
    }
  } finally {
    if (wroteText) process.stdout.write(`${style?.end() ?? ''}\n`); // after an error too: its message gets a line of its own
  }
}

/** @returns e.g. `12 tokens in 0.50 s, 22.0 tokens/s`, without the speed where there is only one token */
export function describeSpeed({ newTokens, decodeMs }: GenerationResult['timings']): string {
  // The first token belongs to the prefill.
  const rate = newTokens > 1 ? `, ${((1000 * (newTokens - 1)) / decodeMs).toFixed(1)} tokens/s` : '';
  return `${newTokens} tokens in ${formatSeconds(decodeMs)}${rate}`;
}

/** @returns what to add where a limit ended the answer */
export function describeCut({ finishReason }: GenerationResult): string {
  return finishReason === 'length' ? '; cut off by --max-new-tokens or the context' : '';
}
