/** Shared by the commands that ask a model: loading it, streaming its answer, reporting the time. */
import type { Gpu } from '../gpu/device.ts';
import { readTuning } from '../model/fast/tuning/tuningCache.node.ts';
import type { GenerateProgress, GenerationResult } from '../model/generation/generateOptions.ts';
import type { LoadProgress } from '../model/load/weightLoader.ts';
import { type LoadOptions, M2Reasoning } from '../model/m2Reasoning.ts';
import type { Progress } from './progress.node.ts';
import { formatBytes, formatSeconds } from './text.ts';
import type { ThinkingStyle } from './thinking.ts';

/**
 * Loads a model, with the kernels chosen by `m2 tune` if there are any.
 *
 * @throws as `M2Reasoning.load`; the signal's reason. After an error nothing stays open
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
    signal.throwIfAborted(); // an error thrown here ends the load and frees its memory
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
  progress.line(`adapter: ${model.gpu.description}${isTuned ? ', with the kernels chosen by m2 tune' : ''}`);
  progress.line(`model: ${folder}, ${loaded} loaded in ${formatSeconds(performance.now() - startedAt)}`);
  for (const warning of model.warnings) progress.line(`warning: ${warning}`);
  return model;
}

/** Whether tunings are ignored, so that all runs use the same kernels. */
function isTuningOff(): boolean {
  const { CI, VITEST, M2_TUNING } = process.env;
  return Boolean(CI || VITEST) || M2_TUNING === 'off';
}

/** Shows a generation's progress events. */
export function showPrefill({ stage, tokensDone, promptTokens }: GenerateProgress, progress: Progress): void {
  if (stage === 'prefill') progress.update(`reading the prompt: ${tokensDone} of ${promptTokens} tokens`);
}

/** Streams an answer to stdout. @throws the error that ends the answer early */
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
    if (wroteText) process.stdout.write(`${style?.end() ?? ''}\n`); // after an error too, so that its message gets its own line
  }
}

/** @returns e.g. `12 tokens in 0.50 s, 22.0 tokens/s`, without the speed for a single token */
export function describeSpeed({ newTokens, decodeMs }: GenerationResult['timings']): string {
  // The first token belongs to the prefill.
  const rate = newTokens > 1 ? `, ${((1000 * (newTokens - 1)) / decodeMs).toFixed(1)} tokens/s` : '';
  return `${newTokens} tokens in ${formatSeconds(decodeMs)}${rate}`;
}

/** @returns a note if a limit ended the answer, else '' */
export function describeCut({ finishReason }: GenerationResult): string {
  return finishReason === 'length' ? '; cut off by --max-new-tokens or the context' : '';
}
