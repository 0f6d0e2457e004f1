/** A chat gives the same answers as fresh runs on the whole conversation, but computes only the new tokens. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Chat } from '../src/model/chat/chat.ts';
import { M2Reasoning } from '../src/model/m2Reasoning.ts';
import type { ImagePart, Message, Part } from '../src/processor/text/messages.ts';
import { livingBuffers } from './livingBuffers.ts';
import { goldens } from './readTensors.ts';
import { sharedGpu } from './sharedGpu.ts';

const tiny = new URL('../weights/m2-tiny/', import.meta.url).pathname;
const picture = (name: string): ImagePart => ({ type: 'image', image: `${tiny}examples/${name}.png` });
const asked = (image: string, text: string): Part[] => [picture(image), { type: 'text', text }];

const settings = { quirks: 'fixed', maxNewTokens: 6 } as const;
const turns = [
  asked('01-count', 'Count the yellow shapes.'),
  'Is there a red circle?',
  asked('03-size-rgba', 'Which shape is larger?'),
  'Where is the purple square?',
  asked('05-where-palette', 'Where is the square?'),
  'Describe the picture.',
];

const gpu = await sharedGpu();
let model: M2Reasoning;
beforeAll(async () => {
  model = await M2Reasoning.load(tiny, { gpu });
});
afterAll(() => model.destroy());

/** The answer of a fresh run to the conversation without its last message. */
async function freshTokens(messages: readonly Message[], on = model, options: object = settings) {
  return (await on.generate(messages.slice(0, -1), options).result).tokens;
}

async function promptIds(messages: readonly Message[]): Promise<readonly number[]> {
  return (await model.prepare(messages, { quirks: 'fixed' })).inputIds;
}

/** The number of tokens in the last prompt after the prefix that it shares with the previous one. */
async function newTokens(messages: readonly Message[]): Promise<number> {
  const now = await promptIds(messages.slice(0, -1));
  const before = messages.length > 2 ? await promptIds(messages.slice(0, -3)) : [];
  const common = now.findIndex((id, i) => id !== before[i]);
  return now.length - common;
}

describe(`a chat of 6 turns with 3 images, on ${gpu.description}`, () => {
  let chat: Chat;
  beforeAll(() => {
    chat = model.chat(settings);
  });
  afterAll(() => chat.destroy());

  it.each(turns.map((content, i) => ({ content, turn: i + 1 })))('turn $turn', async ({ content, turn }) => {
    const stream = chat.send(content);
    let streamed = '';
    for await (const piece of stream) streamed += piece;
    const result = await stream.result;
    expect(result.tokens).toEqual(await freshTokens(chat.messages));
    expect(streamed).toBe(result.text);
    expect(chat.messages).toHaveLength(2 * turn);
    expect(chat.messages.at(-1)).toEqual({
      role: 'assistant',
      content: result.text.replace(/<\|im_end\|>$/, ''),
    });
    const { prefilledTokens, reusedTokens, timings } = result;
    expect(prefilledTokens).toBeLessThanOrEqual(await newTokens(chat.messages));
    expect(prefilledTokens + reusedTokens).toBe(timings.promptTokens);
  });

  it('computes each image once', () => {
    expect(chat.computedImages).toBe(3);
  });

  it('undo and the same question again: the same answer, and almost nothing to compute', async () => {
    const before = chat.messages;
    expect(chat.undo()).toBe(true);
    const { prefilledTokens } = await chat.send(turns[5]).result;
    expect(chat.messages).toEqual(before);
    expect(prefilledTokens).toBe(1); // the last token, for its logits
  });

  it('a fork continues differently and leaves the original unchanged', async () => {
    const fork = await chat.fork();
    const before = chat.messages;
    const [ours, theirs] = await Promise.all([
      chat.send('Count the circles.').result,
      fork.send('Is there a blue triangle?').result,
    ]);
    expect(ours.tokens).toEqual(await freshTokens(chat.messages));
    expect(theirs.tokens).toEqual(await freshTokens(fork.messages));
    expect(theirs.reusedTokens).toBeGreaterThanOrEqual(ours.reusedTokens);
    expect(fork.messages.slice(0, -2)).toEqual(before);
    expect(fork.computedImages).toBe(0);
    await fork.destroy();
    chat.undo();
  });

  it('an edit of an early message recomputes all later tokens, but no image', async () => {
    const ids = await promptIds(chat.messages.slice(0, 5));
    chat.edit(2, 'Is there a blue circle?');
    const { tokens, reusedTokens } = await chat.send('And a star?').result;
    expect(tokens).toEqual(await freshTokens(chat.messages));
    const edited = await promptIds(chat.messages.slice(0, 5));
    expect(reusedTokens).toBe(edited.findIndex((id, i) => id !== ids[i]));
    expect(chat.computedImages).toBe(3);
  });

  it('another image of the same size in an old message is used', async () => {
    chat.edit(4, asked('01-count', 'Which shape is larger?'));
    const { tokens } = await chat.send('And a star?').result;
    expect(tokens).toEqual(await freshTokens(chat.messages));
    expect(chat.computedImages).toBe(3);
  });
});

describe('a turn that fails leaves history and cache intact:', () => {
  let chat: Chat;
  beforeAll(async () => {
    chat = model.chat({ ...settings, context: 600, system: 'Answer in one word.' });
    await chat.send(turns[0]).result;
  });
  afterAll(() => chat.destroy());

  async function expectGoodTurn() {
    const { tokens, reusedTokens } = await chat.send('How many?').result;
    expect(tokens).toEqual(await freshTokens(chat.messages));
    expect(reusedTokens).toBeGreaterThan(50);
    chat.undo();
  }

  it('an abort during the answer', async () => {
    const before = chat.messages;
    const controller = new AbortController();
    const stream = chat.send(turns[2], { signal: controller.signal });
    const reading = (async () => {
      for await (const _ of stream) controller.abort();
    })();
    await expect(reading).rejects.toMatchObject({ code: 'GEN_ABORTED' });
    expect(chat.messages).toEqual(before);
    await expectGoodTurn();
  });

  it('an abort between chunks of the prefill', async () => {
    const controller = new AbortController();
    const stream = model.chat({ ...settings, context: 2000 });
    const content = `${'a circle and a square, '.repeat(90)}how many shapes?`;
    const progress: number[] = [];
    const aborted = stream.send(content, {
      signal: controller.signal,
      onProgress: ({ stage, tokensDone }) => {
        if (stage === 'prefill') controller.abort();
        progress.push(tokensDone);
      },
    });
    await expect(aborted.result).rejects.toMatchObject({ code: 'GEN_ABORTED' });
    expect(progress).toEqual([0, 512]);
    const { tokens, reusedTokens } = await stream.send(content).result;
    expect(reusedTokens).toBe(512);
    expect(tokens).toEqual(await freshTokens(stream.messages));
    await stream.destroy();
  });

  it('a second turn at the same time: GEN_BUSY', async () => {
    const first = chat.send('How many?');
    await expect(chat.send('And now?').result).rejects.toMatchObject({ code: 'GEN_BUSY' });
    await expect(chat.fork()).rejects.toMatchObject({ code: 'GEN_BUSY' });
    expect(() => chat.undo()).toThrow(expect.objectContaining({ code: 'GEN_BUSY' }));
    expect((await first.result).tokens).toEqual(await freshTokens(chat.messages));
    chat.undo();
    await expectGoodTurn();
  });

  it('more tokens than the context, before any GPU work', async () => {
    const before = [chat.messages, { ...gpu.counters }];
    await expect(chat.send('circle '.repeat(700)).result).rejects.toMatchObject({
      code: 'INPUT_CONTEXT_OVERFLOW',
    });
    expect([chat.messages, gpu.counters]).toEqual(before);
    await expectGoodTurn();
  });

  it('beam search, a missing image, a missing message', async () => {
    await expect(chat.send('Hi', { numBeams: 2 }).result).rejects.toMatchObject({ code: 'GEN_RANGE' });
    await expect(chat.send([picture('none')]).result).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' });
    expect(() => chat.edit(7, 'Hi')).toThrow(expect.objectContaining({ code: 'INPUT_RANGE' }));
    expect(() => model.chat({ context: 0 })).toThrow(expect.objectContaining({ code: 'GEN_RANGE' }));
    await expectGoodTurn();
  });
});

it('several images in the published layout, which moves the tokens of earlier ones', async () => {
  const chat = model.chat({ maxNewTokens: 4 });
  for (const content of [turns[0], turns[2], turns[3]]) {
    const { tokens } = await chat.send(content).result;
    expect(tokens).toEqual(await freshTokens(chat.messages, model, { maxNewTokens: 4 }));
  }
  await chat.destroy();
});

it('sampling with penalties, with the checkpoint’s template, which lets the answer’s tokens be reused too', async () => {
  const choice = { seed: 5, temperature: 0.8, repetitionPenalty: 1.1, maxNewTokens: 6 };
  const options = { ...settings, ...choice, promptTemplate: 'jinja' } as const;
  const chat = model.chat(options);
  let before = 0;
  for (const content of turns.slice(0, 3)) {
    const { tokens, timings, reusedTokens } = await chat.send(content).result;
    expect(tokens).toEqual(await freshTokens(chat.messages, model, options));
    if (before > 0) expect(reusedTokens).toBeGreaterThan(before);
    before = timings.promptTokens;
  }
  await chat.destroy();
});

it('negative positions, which the first turn’s tables do not cover', async () => {
  const other = await M2Reasoning.load(`${goldens}checkpoints/video-rope-f32`, { gpu });
  const chat = other.chat({ maxNewTokens: 6, context: 512 });
  await chat.send('Hello').result;
  chat.undo();
  const tall: Part[] = [{ ...picture('01-count'), resizedHeight: 28 * 60, resizedWidth: 56 }];
  for (const content of [tall, 'And now?']) {
    const { tokens } = await chat.send(content).result;
    expect(tokens).toEqual(await freshTokens(chat.messages, other, { maxNewTokens: 6 }));
  }
  await chat.destroy();
  await other.destroy();
});

it('everything is freed, even if a chat is destroyed during a turn', async () => {
  const living = await livingBuffers(gpu, async () => {
    const chat = model.chat(settings);
    await chat.send(turns[0]).result;
    const fork = await chat.fork();
    await fork.send(turns[2]).result;
    const running = chat.send(turns[4]);
    await chat.destroy();
    await expect(running.result).rejects.toMatchObject({ code: 'GEN_ABORTED' });
    await expect(chat.send('Hi').result).rejects.toMatchObject({ code: 'GEN_DISPOSED' });
    await chat.destroy();
    await fork.destroy();
  });
  expect(living).toBe(0);
});
