import type { Gpu } from '../../src/gpu/device.ts';
import { Pass } from '../../src/gpu/pass.ts';
import { freeTensors, readTensor, upload } from '../../src/gpu/tensor.ts';
import { END_TOKEN, IN_PROMPT } from '../../src/kernels/choose/penalizeLogits.ts';
import type { SamplingLimits } from '../../src/kernels/choose/reference/tokenProbabilities.ts';
import { kernels } from '../../src/kernels/kernelSet.ts';
import type { TextSoFar } from '../../src/model/generation/cpuSampler.ts';
import type { ProcessorOptions } from '../../src/model/generation/logitsProcessors.ts';

export type ProcessOptions = ProcessorOptions & SamplingLimits;

/** Every option at the value that changes nothing. */
export const OFF: ProcessOptions = {
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  noRepeatNgramSize: 0,
  minLength: 0,
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
};

/** `processLogits` of the CPU, on the GPU: the same kernels in the same order as a step of generation. */
export async function processOnGpu(
  gpu: Gpu,
  logits: Float32Array,
  { noRepeatNgramSize, temperature, topK, topP, minP, ...penalties }: ProcessOptions,
  { promptIds, answerIds, endTokens }: TextSoFar,
): Promise<Float32Array> {
  const state = new Uint32Array(logits.length);
  for (const id of promptIds) state[id] |= IN_PROMPT;
  for (const id of endTokens) state[id] |= END_TOKEN;
  for (const id of answerIds.slice(0, -1)) state[id]++; // the kernel itself takes note of the last one
  const text = [...promptIds, ...answerIds];
  const history = Uint32Array.from([...text, 0]);
  if (answerIds.length > 0) history[text.length - 1] = 0; // as above
  const tensors = {
    logits: upload(gpu, logits, [1, logits.length], 'logits'),
    tokenState: upload(gpu, state, [state.length], 'state'),
    history: upload(gpu, history, [history.length], 'history'),
    token: upload(gpu, Uint32Array.of(answerIds.at(-1) ?? 0), [1], 'token'),
    length: upload(gpu, Uint32Array.of(text.length), [1], 'length'),
  };
  const pass = new Pass(gpu, 'process');
  try {
    kernels.penalizeLogits(pass, tensors, { ...penalties, promptLength: promptIds.length });
    if (noRepeatNgramSize > 0) {
      const { logits, history, length } = tensors;
      kernels.banNgrams(pass, { logits, history, length }, { ngramSize: noRepeatNgramSize });
    }
    const limits = { temperature, topK, topP, minP };
    const probabilities = kernels.tokenProbabilities(pass, { logits: tensors.logits }, limits);
    await pass.submit();
    return (await readTensor(gpu, probabilities)) as Float32Array;
  } finally {
    await pass.destroy();
    await freeTensors(gpu, Object.values(tensors));
  }
}
