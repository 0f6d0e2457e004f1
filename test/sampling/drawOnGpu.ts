/** Sampling on the GPU with random numbers chosen to reveal a wrong probability. */
import type { Gpu } from '../../src/gpu/device.ts';
import { Pass } from '../../src/gpu/pass.ts';
import { freeTensors, type Tensor, upload, zeros } from '../../src/gpu/tensor.ts';
import { END_TOKEN, IN_PROMPT } from '../../src/kernels/choose/penalizeLogits.ts';
import { uniformRandom } from '../../src/kernels/choose/reference/random.ts';
import { kernels } from '../../src/kernels/kernelSet.ts';
import type { ProcessOptions, TextSoFar } from './processLogits.ts';

export const SEED = { seedLow: 2024, seedHigh: 7 };

const NUMBERS = 2 ** 17;
const SCALE = 2 ** 24 * NUMBERS;
/** The seed's first random numbers in order of size, whole multiples of NUMBERS, and in what is left the index of each. */
const ascending = Float64Array.from(
  { length: NUMBERS },
  (_, index) => uniformRandom(SEED.seedLow, SEED.seedHigh, index) * SCALE + index,
).sort();

export interface Edges {
  /** The indices of the seed's random numbers to sample with. */
  readonly indices: number[];
  /** The tokens that they must give. */
  readonly tokens: number[];
}

/**
 * For each kept token, the random numbers next to both ends of its share of [0, 1). If a share begins or ends about 1e-5 elsewhere,
 * or if a share before it is missing or extra, another token is sampled. For more than `most` tokens, an even selection.
 *
 * @param probabilities [vocabSize], of the reference
 * @param slack allowed difference between f32 and float64 sums
 */
export function edgesOf(probabilities: ArrayLike<number>, { most = 32, slack = 2e-6 } = {}): Edges {
  const shares: { token: number; first: number; last: number }[] = []; // with the numbers that fall into them
  let begin = 0;
  for (let token = 0; token < probabilities.length; token++) {
    const end = begin + probabilities[token];
    const share = { token, first: placeOf(begin + slack), last: placeOf(end - slack) - 1 };
    if (probabilities[token] > 0 && share.first <= share.last) shares.push(share);
    begin = end;
  }
  const step = Math.ceil(shares.length / most);
  const chosen = shares.filter((_, i) => i % step === 0 || i === shares.length - 1);
  return {
    indices: chosen.flatMap(({ first, last }) => [ascending[first] % NUMBERS, ascending[last] % NUMBERS]),
    tokens: chosen.flatMap(({ token }) => [token, token]),
  };
}

/** The number of random numbers below `value`. */
function placeOf(value: number): number {
  let [low, high] = [0, NUMBERS];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ascending[middle] < value * SCALE) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Samples with the kernels of a generation step in the same order, once for each index of a random number, in one submit. */
export async function drawOnGpu(
  gpu: Gpu,
  logits: Float32Array,
  { noRepeatNgramSize, temperature, topK, topP, minP, ...penalties }: ProcessOptions,
  { promptIds, answerIds, endTokens }: TextSoFar,
  indices: readonly number[],
  seed = SEED,
): Promise<number[]> {
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
  const numbers = indices.map((index) => upload(gpu, Uint32Array.of(index), [1], 'number'));
  const drawn: Tensor[] = indices.map(() => zeros(gpu, 'u32', [1], 'drawn'));
  const pass = new Pass(gpu, 'draws');
  try {
    kernels.penalizeLogits(pass, tensors, { ...penalties, promptLength: promptIds.length });
    if (noRepeatNgramSize > 0) {
      const { logits, history, length } = tensors;
      kernels.banNgrams(pass, { logits, history, length }, { ngramSize: noRepeatNgramSize });
    }
    for (const [i, length] of numbers.entries()) {
      const params = { temperature, topK, topP, minP, ...seed };
      kernels.sampleToken(pass, { logits: tensors.logits, length, out: drawn[i] }, params);
    }
    const readBacks = drawn.map((token) => pass.readBack(token));
    await pass.submit();
    const ids: number[] = [];
    for (const readBack of readBacks) ids.push((await readBack.read())[0]);
    return ids;
  } finally {
    await pass.destroy();
    await freeTensors(gpu, [...Object.values(tensors), ...numbers, ...drawn]);
  }
}
