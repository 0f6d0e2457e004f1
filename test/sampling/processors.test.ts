/** Compares GPU and CPU for processors and combinations that transformers' goldens leave out. */
import { describe, expect, it } from 'vitest';
import { sharedGpu } from '../sharedGpu.ts';
import { drawOnGpu, edgesOf } from './drawOnGpu.ts';
import { OFF, type ProcessOptions, processLogits, type TextSoFar } from './processLogits.ts';

const gpu = await sharedGpu();

const logits = Float32Array.from({ length: 300 }, (_, id) => 3 * Math.sin(id * id));
const text: TextSoFar = {
  promptIds: [1, 2, 3, 4, 5, 1, 2, 9],
  answerIds: [40, 41, 42, 40, 1, 2],
  endTokens: [7, 11],
};

describe(`processors on ${gpu.description}`, () => {
  it.each<Partial<ProcessOptions>>([
    {},
    { repetitionPenalty: 1.3 },
    { presencePenalty: 0.7 },
    { frequencyPenalty: -0.4 },
    { noRepeatNgramSize: 1 },
    { noRepeatNgramSize: 3 },
    { minLength: 15 },
    { minP: 0.2 },
    {
      ...{ repetitionPenalty: 0.8, presencePenalty: 0.5, frequencyPenalty: 0.3, noRepeatNgramSize: 2 },
      ...{ minLength: 20, temperature: 0.8, topK: 50, topP: 0.95, minP: 0.05 },
    },
  ])('%j', async (change) => {
    const options = { ...OFF, ...change };
    const onCpu = processLogits(logits, options, text);
    const { indices, tokens } = edgesOf(onCpu);
    expect(await drawOnGpu(gpu, logits, options, text, indices)).toEqual(tokens);
    if (Object.keys(change).length > 0) {
      expect(onCpu).not.toEqual(processLogits(logits, OFF, text)); // the option does something
    }
  });

  it('count correctly', () => {
    const banned = (change: Partial<ProcessOptions>) => {
      const probabilities = processLogits(logits, { ...OFF, ...change }, text);
      return [...probabilities.keys()].filter((id) => probabilities[id] === 0);
    };
    expect(banned({ noRepeatNgramSize: 1 })).toEqual([1, 2, 3, 4, 5, 9, 40, 41, 42]);
    expect(banned({ noRepeatNgramSize: 3 })).toEqual([3, 9]); // behind 1 2 came 3, and 9
    expect(banned({ minLength: 15 })).toEqual([7, 11]);
    expect(banned({ minLength: 14 })).toEqual([]);

    const odds = (change: Partial<ProcessOptions>, id: number) => {
      const probabilities = processLogits(logits, { ...OFF, ...change }, text);
      return Math.log(probabilities[id] / probabilities[200]); // 200 is in neither
    };
    const plain = (id: number) => odds({}, id);
    expect(odds({ presencePenalty: 0.7 }, 40)).toBeCloseTo(plain(40) - 0.7, 5);
    expect(odds({ frequencyPenalty: 0.4 }, 40)).toBeCloseTo(plain(40) - 0.8, 5); // twice in the answer
    expect(odds({ frequencyPenalty: 0.4 }, 1)).toBeCloseTo(plain(1) - 0.4, 5); // the prompt's do not count
    expect(odds({ frequencyPenalty: 0.4 }, 3)).toBeCloseTo(plain(3), 5);
  });
});
