/** An abort ends the work within one group of dispatches at any stage, and leaves the model and the chat usable. */
import { setImmediate } from 'node:timers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GenerateOptions } from '../src/model/generation/generateOptions.ts';
import { M2Reasoning } from '../src/model/m2Reasoning.ts';
import type { Message } from '../src/processor/text/messages.ts';
import { livingBuffers } from './livingBuffers.ts';
import { sharedGpu } from './sharedGpu.ts';
import { examples, messagesOf, tiny } from './tinyExamples.ts';

const gpu = await sharedGpu();
let model: M2Reasoning;
beforeAll(async () => {
  model = await M2Reasoning.load(tiny, { gpu });
});
afterAll(() => model.destroy());

const where = examples[4];
const long: Message[] = [{ role: 'user', content: 'a circle and a square, '.repeat(40) }]; // one chunk of a prompt

/** Aborts once `dispatches` have been queued since the prompt was prepared. @returns the number queued after that */
async function dispatchesAfterAbort(messages: Message[], dispatches: number, options: GenerateOptions = {}) {
  const controller = new AbortController();
  let base = Infinity;
  let abortedAt = Number.NaN;
  const stream = model.generate(messages, {
    ...options,
    signal: controller.signal,
    onProgress: ({ stage }) => {
      if (stage === 'prepared') base = gpu.counters.dispatches;
    },
  });
  let isOver = false;
  const ended = expect(stream.result)
    .rejects.toMatchObject({ name: 'GenerationError', code: 'GEN_ABORTED' })
    .finally(() => {
      isOver = true;
    });
  while (!isOver && gpu.counters.dispatches - base < dispatches) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  abortedAt = gpu.counters.dispatches;
  controller.abort();
  await ended;
  return gpu.counters.dispatches - abortedAt;
}

describe(`an abort, on ${gpu.description}`, () => {
  it('during image decoding: no dispatch at all', async () => {
    const controller = new AbortController();
    const before = gpu.counters.dispatches;
    const content = Array.from({ length: 8 }, () => messagesOf(where)[0].content[0] as never);
    const stream = model.generate([{ role: 'user', content }], {
      signal: controller.signal,
      quirks: 'fixed',
    });
    setTimeout(() => controller.abort());
    await expect(stream.result).rejects.toMatchObject({ code: 'GEN_ABORTED' });
    expect(gpu.counters.dispatches).toBe(before);
  });

  it.each([
    ['in the vision tower', messagesOf(where), 1],
    ['in the prefill', long, 10],
  ])('%s: nothing is queued after it', async (_, messages, dispatches) => {
    expect(await dispatchesAfterAbort(messages, dispatches)).toBe(0);
  });

  it('during decoding: at most the steps of one wait', async () => {
    const short: Message[] = [{ role: 'user', content: 'Is there a red circle?' }];
    const { dispatches } = gpu.counters;
    await model.generate(short, { maxNewTokens: 2, minLength: 1000 }).result;
    const both = gpu.counters.dispatches - dispatches; // the prompt, and one step
    const options = { stepsPerWait: 2, minLength: 1000, maxNewTokens: 500 };
    const afterwards = await dispatchesAfterAbort(short, both + 1, options);
    expect(afterwards).toBeLessThan(both); // far from 500 steps
  });

  it('leaks no buffer, and the next answer is correct', async () => {
    const left = await livingBuffers(gpu, async () => {
      await dispatchesAfterAbort(messagesOf(where), 1);
      const { tokens } = await model.generate(messagesOf(where), { maxNewTokens: 4 }).result;
      expect(tokens).toEqual(where.output_ids.slice(0, 4));
    });
    expect(left).toBe(0);
  });

  it('in a chat’s vision tower: the history is unchanged, and the next turn is correct', async () => {
    const chat = model.chat({ quirks: 'fixed', maxNewTokens: 4 });
    const controller = new AbortController();
    const onProgress = () => setImmediate(() => controller.abort());
    const aborted = chat.send(messagesOf(where)[0].content, { signal: controller.signal, onProgress });
    await expect(aborted.result).rejects.toMatchObject({ code: 'GEN_ABORTED' });
    expect(chat.messages).toEqual([]);
    const { tokens } = await chat.send(messagesOf(where)[0].content).result;
    const fresh = await model.generate(messagesOf(where), { quirks: 'fixed', maxNewTokens: 4 }).result;
    await chat.destroy();
    expect(tokens).toEqual(fresh.tokens);
  });
});
