import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openGpu } from '../src/gpu/device.ts';
import { parseAnswer } from '../src/model/generation/answer.ts';
import { positionTokens } from '../src/model/generation/preparePrompt.ts';
import { positionsFor } from '../src/model/graph/positions.ts';
import { M2Reasoning } from '../src/model/m2Reasoning.ts';
import type { Message, Part } from '../src/processor/text/messages.ts';
import { goldens, readJson } from './readTensors.ts';
import { sharedGpu } from './sharedGpu.ts';
import { examples, messagesOf, tiny } from './tinyExamples.ts';

const gpu = await sharedGpu();
let model: M2Reasoning;
beforeAll(async () => {
  model = await M2Reasoning.load(tiny, { gpu });
});
afterAll(() => model.destroy());

describe(`m2-tiny gives the reference's answers, on ${gpu.description}`, () => {
  it.each(examples)('$image', async (example) => {
    const stream = model.generate(messagesOf(example), { maxNewTokens: 256 });
    let streamed = '';
    for await (const piece of stream) streamed += piece;
    const result = await stream.result;
    expect(result.text).toBe(example.reference_output);
    expect(result.tokens).toEqual(example.output_ids);
    expect(streamed).toBe(result.text);
    expect(result).toMatchObject({ finishReason: 'eos', ...parseAnswer(example.reference_output) });
    expect(result.wellFormed).toBe(true);
    expect(result.timings).toMatchObject({
      promptTokens: example.input_ids.length,
      newTokens: example.output_ids.length,
    });
  });
});

describe('generation ends', () => {
  const question: Message[] = [{ role: 'user', content: 'Is there a red circle?' }];

  it('at maxNewTokens, with the tokens so far', async () => {
    const cut = await model.generate(messagesOf(examples[4]), { maxNewTokens: 5 }).result;
    expect(cut.finishReason).toBe('length');
    expect(cut.tokens).toEqual(examples[4].output_ids.slice(0, 5));
    expect(cut.wellFormed).toBe(false);
  });

  it('at any of several end tokens, as in the golden that stops early', async () => {
    const stopped = readJson(`${goldens}cases/mrope-bf16/eos-stop/case.json`);
    const checkpoint = await M2Reasoning.load(`${goldens}checkpoints/mrope-bf16`, { gpu });
    const [message] = stopped.messages;
    const content = message.content.map((part: { type: string; image?: string }) =>
      part.type === 'image' ? { ...part, image: goldens + part.image } : part,
    );
    const { eos_token_id: eosTokenId, max_new_tokens: maxNewTokens } = stopped.generate_options;
    const result = await checkpoint.generate([{ ...message, content }], { eosTokenId, maxNewTokens }).result;
    await checkpoint.destroy();
    expect(result.tokens).toEqual(stopped.greedy_ids);
    expect(result.text).toBe(stopped.greedy_text);
    expect(result.finishReason).toBe('eos');
  });

  it('when the context is full', async () => {
    const { inputIds } = await model.prepare(question);
    const result = await model.generate(question, { context: inputIds.length + 3 }).result;
    expect(result.tokens.length).toBeLessThanOrEqual(3);
  });

  it('before any GPU work when the prompt does not fit', async () => {
    const before = { ...gpu.counters };
    const stream = model.generate(question, { context: 4 });
    await expect(stream.result).rejects.toMatchObject({
      code: 'INPUT_CONTEXT_OVERFLOW',
      message: expect.stringMatching(/has \d+ tokens, the context 4/),
    });
    const long = 'word '.repeat(6000);
    await expect(model.generate([{ role: 'user', content: long }]).result).rejects.toMatchObject({
      code: 'INPUT_CONTEXT_OVERFLOW',
    });
    expect(gpu.counters).toEqual(before);
  });

  it.each([0, -1, 1.5, Number.NaN, Infinity])('with GEN_RANGE for maxNewTokens %s', async (maxNewTokens) => {
    await expect(model.generate(question, { maxNewTokens }).result).rejects.toMatchObject({
      code: 'GEN_RANGE',
      details: { field: 'maxNewTokens' },
    });
  });

  it('at a stop string, no part of which is shown', async () => {
    const stream = model.generate(messagesOf(examples[0]), { stop: ['</answer>', 'Middle: pur'] });
    let streamed = '';
    for await (const piece of stream) streamed += piece;
    const { text, finishReason } = await stream.result;
    expect(finishReason).toBe('stop');
    expect(text).toBe(examples[0].reference_output.split('Middle: pur')[0]);
    expect(streamed).toBe(text);
  });

  it('when the signal aborts, before or during the answer, and frees everything', async () => {
    const aborted = model.generate(question, { signal: AbortSignal.abort() });
    await expect(aborted.result).rejects.toMatchObject({ name: 'GenerationError', code: 'GEN_ABORTED' });

    const controller = new AbortController();
    const stream = model.generate(messagesOf(examples[0]), { signal: controller.signal });
    let pieces = 0;
    const reading = (async () => {
      for await (const _ of stream) if (++pieces === 3) controller.abort();
    })();
    await expect(reading).rejects.toMatchObject({ code: 'GEN_ABORTED' });
    await expect(stream.result).rejects.toMatchObject({ code: 'GEN_ABORTED' });
    expect(pieces).toBeLessThan(10);
  });

  it('when the reader leaves', async () => {
    const stream = model.generate(messagesOf(examples[0]));
    for await (const _ of stream) break;
    const { finishReason, tokens } = await stream.result;
    expect(finishReason).toBe('left');
    expect(tokens.length).toBeLessThan(5);
  });

  it('with GEN_DISPOSED after destroy, which may be called twice', async () => {
    const other = await M2Reasoning.load(tiny, { gpu });
    await other.destroy();
    await other.destroy();
    await expect(other.generate(question).result).rejects.toMatchObject({ code: 'GEN_DISPOSED' });
  });
});

describe('the answer does not depend on', () => {
  it('how weights are split: bindings of at most 100 KB', async () => {
    const small = await sharedGpu(100_000);
    const split = await M2Reasoning.load(tiny, { gpu: small });
    const result = await split.generate(messagesOf(examples[4])).result;
    await split.destroy();
    expect(result.tokens).toEqual(examples[4].output_ids);
  });

  it('how the prompt is split into chunks', async () => {
    const { inputIds, images } = await model.prepare(messagesOf(examples[0]));
    const positions = positionsFor('m_rope', inputIds, images, positionTokens(model), 'reference');
    for (const prefillChunk of [13, 100]) {
      const tokens = await model.forward({ inputIds, images, positions }, { steps: 4, prefillChunk });
      expect(tokens).toEqual(examples[0].output_ids.slice(0, 4));
    }
  });

  it('other generations that run at the same time', async () => {
    const two = [examples[0], examples[4]];
    const answers = await Promise.all(
      two.map((example) => model.generate(messagesOf(example), { maxNewTokens: 12 }).result),
    );
    expect(answers.map(({ tokens }) => tokens)).toEqual(two.map(({ output_ids }) => output_ids.slice(0, 12)));
  });
});

it('a lost device ends the stream with GPU_LOST, and a new device gives the answer', async () => {
  const doomed = await openGpu();
  const victim = await M2Reasoning.load(tiny, { gpu: doomed });
  const stream = victim.generate(messagesOf(examples[4]));
  const reading = (async () => {
    for await (const _ of stream) doomed.device.destroy();
  })();
  await expect(reading).rejects.toMatchObject({ name: 'GpuError', code: 'GPU_LOST' });
  await expect(stream.result).rejects.toMatchObject({ code: 'GPU_LOST' });
  await expect(victim.generate(messagesOf(examples[4])).result).rejects.toMatchObject({ code: 'GPU_LOST' });
  await victim.destroy();
  doomed.destroy();
});

it('weights that are not finite end the answer with GEN_NONFINITE, never with token 0', async () => {
  const { folderFiles } = await import('../src/model/checkpoint/checkpointFolder.node.ts');
  const files = folderFiles(tiny);
  const broken = {
    name: 'broken',
    async open(name: string) {
      const source = await files.open(name);
      if (source === null || !name.endsWith('.safetensors')) return source;
      const infinite = new Uint8Array([0x80, 0x7f]); // bf16 infinity
      return {
        ...source,
        async readInto(offset: number, target: Uint8Array) {
          await source.readInto(offset, target);
          if (offset > 100_000) for (let i = 0; i + 1 < target.length; i += 2) target.set(infinite, i);
        },
      };
    },
  };
  const other = await M2Reasoning.load(broken, { gpu });
  await expect(other.generate([{ role: 'user', content: 'Hello' }]).result).rejects.toMatchObject({
    code: 'GEN_NONFINITE',
  });
  await other.destroy();
});

it('several images: the published layout gives a warning that names the option', async () => {
  const twice = messagesOf(examples[0]);
  const parts = twice[1].content as readonly Part[];
  const messages = [twice[0], { ...twice[1], content: [parts[0], ...parts] }];
  const { warnings } = await model.prepare(messages);
  expect(warnings[0]).toMatch(/quirks: "fixed"/);
  expect((await model.prepare(messages, { quirks: 'fixed' })).warnings).toEqual([]);
});

it('the files named in the examples exist', () => {
  for (const { image } of examples)
    expect(readFileSync(`${tiny}examples/${image}`).length).toBeGreaterThan(0);
});
