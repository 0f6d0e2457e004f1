/** Control of decoding: several steps per wait, drafts, log-probabilities, the hook for logits. The pace never changes the tokens. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readTensor } from '../src/gpu/tensor.ts';
import type { LogitsProcessor } from '../src/model/generation/controlOptions.ts';
import type { GenerateOptions, GenerationResult } from '../src/model/generation/generateOptions.ts';
import { positionTokens } from '../src/model/generation/preparePrompt.ts';
import { positionsFor } from '../src/model/graph/positions.ts';
import { M2Reasoning } from '../src/model/m2Reasoning.ts';
import type { Message } from '../src/processor/text/messages.ts';
import { sharedGpu } from './sharedGpu.ts';
import { examples, messagesOf, tiny } from './tinyExamples.ts';

const gpu = await sharedGpu();
let model: M2Reasoning;
beforeAll(async () => {
  model = await M2Reasoning.load(tiny, { gpu });
});
afterAll(() => model.destroy());

const where = examples[4]; // the shortest answer
const answer = (options: GenerateOptions, messages = messagesOf(where)) =>
  model.generate(messages, options).result;

describe(`several steps per wait, on ${gpu.description}`, () => {
  it.each([1, 8, undefined])('greedy, S = %s', async (stepsPerWait) => {
    const result = await answer({ stepsPerWait });
    expect(result.tokens).toEqual(where.output_ids);
    expect(result).toMatchObject({ finishReason: 'eos', text: where.reference_output });
  });

  // The result of a seed is part of the interface: it is the same on every adapter and for every S.
  const drawn = { seed: 9, temperature: 5, topK: 200, repetitionPenalty: 1.1, maxNewTokens: 12 };
  const drawnTokens = [1080, 198, 302, 504, 283, 269, 385, 261, 167, 553, 612, 419];
  it.each([1, 8])('a seed always gives the same text, S = %s', async (stepsPerWait) => {
    expect((await answer({ ...drawn, stepsPerWait })).tokens).toEqual(drawnTokens);
  });

  it('tokens computed past the end are cut: end token, stop string, limit', async () => {
    const whole = await answer({ stepsPerWait: 64 });
    expect(whole.tokens).toEqual(where.output_ids);
    const stopped = await answer({ stepsPerWait: 8, stop: ['triangle'] });
    expect(stopped).toMatchObject({
      finishReason: 'stop',
      text: where.reference_output.split('triangle')[0],
    });
    const cut = await answer({ stepsPerWait: 8, maxNewTokens: 5 });
    expect(cut.tokens).toEqual(where.output_ids.slice(0, 5));
    expect(cut.timings.decodePasses).toBe(4); // the limit is known, so nothing is computed past it
  });

  it('a chat continues after an answer that was cut in the middle of a wait', async () => {
    const settings = { quirks: 'fixed', maxNewTokens: 3, stop: ['black'] } as const;
    const chat = model.chat({ ...settings, stepsPerWait: 8 });
    await chat.send(messagesOf(where)[0].content).result;
    const { tokens } = await chat.send('Is there a red circle?').result;
    const fresh = await answer({ ...settings, stepsPerWait: 1 }, chat.messages.slice(0, -1) as Message[]);
    await chat.destroy();
    expect(tokens).toEqual(fresh.tokens);
  });

  it('creates no buffer and no bind group per token, and reads back four bytes', async () => {
    const countsOf = async (maxNewTokens: number) => {
      let before = { ...gpu.counters };
      const onProgress = () => {
        before = { ...gpu.counters }; // the prompt's last chunk is done
      };
      await answer({ maxNewTokens, stepsPerWait: 8, onProgress }, messagesOf(examples[0]));
      const { buffers, bindGroups, submits, readBackBytes } = gpu.counters;
      return [
        buffers - before.buffers,
        bindGroups - before.bindGroups,
        submits - before.submits,
        readBackBytes - before.readBackBytes,
      ];
    };
    const nine = await countsOf(9);
    const fortyOne = await countsOf(41);
    expect(fortyOne.map((count, i) => count - nine[i])).toEqual([0, 0, 32, 32 * 4]);
  });
});

describe('prompt lookup', () => {
  const passesPerToken = ({ tokens, timings }: GenerationResult) =>
    timings.decodePasses / (tokens.length - 1);

  it('two of the examples: the same tokens, and few failed passes', async () => {
    let passes = 0;
    let failed = 0;
    let tokens = 0;
    for (const index of [0, 7]) {
      const example = examples[index];
      const result = await answer({ promptLookup: true }, messagesOf(example));
      expect(result.tokens).toEqual(example.output_ids);
      passes += result.timings.decodePasses;
      failed += result.timings.drafts.failedPasses;
      tokens += result.tokens.length - 1;
    }
    expect(failed / passes).toBeLessThan(0.03);
    expect(passes).toBeLessThanOrEqual(1.03 * tokens);
  });

  it('the same question again: the same tokens in a fraction of the passes', async () => {
    const text = where.reference_output.replace('<|im_end|>', '');
    const question = { role: 'user', content: where.question } as const;
    const again: Message[] = [...messagesOf(where), { role: 'assistant', content: text }, question];
    const plain = await answer({ stepsPerWait: 1 }, again);
    const looked = await answer({ promptLookup: true }, again);
    expect(looked.tokens).toEqual(plain.tokens);
    expect(passesPerToken(plain)).toBe(1);
    expect(passesPerToken(looked)).toBeLessThan(1 / 1.3);
  });

  it('up to the last token of the context', async () => {
    const text = where.reference_output.replace('<|im_end|>', '');
    const messages: Message[] = [...messagesOf(where), { role: 'assistant', content: text }];
    messages.push({ role: 'user', content: where.question });
    const { inputIds } = await model.prepare(messages);
    const plain = await answer({ maxNewTokens: 10 }, messages);
    for (const room of [9, 10]) {
      const options = { context: inputIds.length + room, promptLookup: true };
      expect((await answer(options, messages)).tokens).toEqual(plain.tokens.slice(0, room));
    }
  });
});

describe('log-probabilities', () => {
  it('are the log softmax of the logits', async () => {
    const { inputIds, images } = await model.prepare(messagesOf(where));
    const positions = positionsFor('m_rope', inputIds, images, positionTokens(model), 'reference');
    const rows: Float32Array[] = [];
    await model.forward(
      { inputIds, images, positions },
      {
        steps: 3,
        tap: async (name, tensor) => {
          if (name === 'logits.steps') rows.push((await readTensor(gpu, tensor)) as Float32Array);
        },
      },
    );
    const { logprobs = [], tokens } = await answer({ logprobs: 5, maxNewTokens: 3, stepsPerWait: 2 });
    expect(logprobs.map(({ token }) => token)).toEqual(tokens);
    for (const [step, { token, text, logprob, top }] of logprobs.entries()) {
      const expected = logSoftmax(rows[step]);
      const order = [...expected.keys()].sort((a, b) => expected[b] - expected[a] || a - b);
      expect(top.map((entry) => entry.token)).toEqual(order.slice(0, 5));
      for (const entry of top) expect(Math.abs(entry.logprob - expected[entry.token])).toBeLessThan(2e-6);
      expect(Math.abs(logprob - expected[token])).toBeLessThan(2e-6);
      expect(text).toBe(model.processor.tokenizer.decode([token]));
    }
  });

  it('are the model’s own even if a penalty or a temperature changes the choice', async () => {
    const own = await answer({ logprobs: 1, maxNewTokens: 1 });
    const drawn = await answer({ logprobs: 1, maxNewTokens: 1, temperature: 5, topK: 200, seed: 7 });
    expect(drawn.tokens).not.toEqual(own.tokens);
    expect(drawn.logprobs?.[0].top).toEqual(own.logprobs?.[0].top);
    expect(drawn.logprobs?.[0].logprob).toBeLessThan(-5);
  });

  it('are only there on request; 0 gives only that of the chosen token', async () => {
    expect((await answer({ maxNewTokens: 1 })).logprobs).toBeUndefined();
    const [{ top, logprob }] = (await answer({ maxNewTokens: 1, logprobs: 0 })).logprobs ?? [];
    expect(top).toEqual([]);
    expect(logprob).toBeLessThanOrEqual(0);
  });
});

describe('a logits processor', () => {
  it('that does nothing changes nothing, and sees the text so far', async () => {
    const seen: number[][] = [];
    const logitsProcessor: LogitsProcessor = (logits, { promptIds, answerIds }) => {
      expect(logits).toHaveLength(model.config.llm.vocabSize);
      expect(promptIds).toEqual(where.input_ids);
      seen.push([...answerIds]);
    };
    const { tokens } = await answer({ logitsProcessor, maxNewTokens: 4, stepsPerWait: 8 });
    expect(tokens).toEqual(where.output_ids.slice(0, 4));
    expect(seen).toEqual([0, 1, 2, 3].map((length) => where.output_ids.slice(0, length)));
  });

  it('restricts the tokens to A, B, C or D, then the end', async () => {
    const { tokenizer } = model.processor;
    const letters = ['A', 'B', 'C', 'D'].map((letter) => tokenizer.encode(letter)[0]);
    const { eosTokenId } = model.config.llm;
    const logitsProcessor: LogitsProcessor = (logits, { answerIds }) => {
      const allowed = answerIds.length === 0 ? letters : [eosTokenId];
      for (let id = 0; id < logits.length; id++) if (!allowed.includes(id)) logits[id] = -Infinity;
    };
    const { text, finishReason } = await answer({ logitsProcessor, logprobs: 0 });
    expect(text).toMatch(/^[ABCD]<\|im_end\|>$/);
    expect(finishReason).toBe('eos');
  });

  it('runs after the penalties', async () => {
    const banned: number[] = [];
    await answer({
      minLength: 1000,
      maxNewTokens: 1,
      logitsProcessor: (logits) => void banned.push(logits.indexOf(-Infinity)),
    });
    expect(banned).toEqual([model.config.llm.eosTokenId]);
  });

  it('ends the answer with its own error, or with GEN_NONFINITE if it bans every token', async () => {
    const broken = answer({
      logitsProcessor: () => {
        throw new RangeError('mine');
      },
    });
    await expect(broken).rejects.toThrow(new RangeError('mine'));
    const nothing = answer({ logitsProcessor: (logits) => void logits.fill(-Infinity) });
    await expect(nothing).rejects.toMatchObject({ code: 'GEN_NONFINITE' });
  });
});

describe('invalid options are refused before any GPU work', () => {
  const hook = () => {};
  it.each([
    ['logprobs', { logprobs: 21 }],
    ['logprobs', { logprobs: -1 }],
    ['logprobs', { logprobs: 1.5 }],
    ['logprobs', { logprobs: 1, numBeams: 2 }],
    ['stepsPerWait', { stepsPerWait: 0 }],
    ['stepsPerWait', { stepsPerWait: 65 }],
    ['logitsProcessor', { logitsProcessor: 'A' as never }],
    ['logitsProcessor', { logitsProcessor: hook, numBeams: 2 }],
    ['promptLookup', { promptLookup: 1 as never }],
    ['promptLookup', { promptLookup: true, temperature: 1 }],
    ['promptLookup', { promptLookup: true, numBeams: 2 }],
    ['promptLookup', { promptLookup: true, repetitionPenalty: 1.1 }],
    ['promptLookup', { promptLookup: true, presencePenalty: 1 }],
    ['promptLookup', { promptLookup: true, frequencyPenalty: 1 }],
    ['promptLookup', { promptLookup: true, noRepeatNgramSize: 3 }],
    ['promptLookup', { promptLookup: true, minLength: 10 }],
    ['promptLookup', { promptLookup: true, logprobs: 0 }],
    ['promptLookup', { promptLookup: true, logitsProcessor: hook }],
  ] as [string, GenerateOptions][])('%s: %o', async (field, options) => {
    const before = { ...gpu.counters };
    await expect(answer(options)).rejects.toMatchObject({ code: 'GEN_RANGE', details: { field } });
    expect(gpu.counters).toEqual(before);
  });
});

function logSoftmax(logits: Float32Array): Float64Array {
  const largest = logits.reduce((a, b) => Math.max(a, b));
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - largest), 0);
  return Float64Array.from(logits, (logit) => logit - largest - Math.log(sum));
}
