import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BeamScorer } from '../src/model/generation/beamScorer.ts';
import type { GenerateOptions } from '../src/model/generation/generateOptions.ts';
import { M2Reasoning } from '../src/model/m2Reasoning.ts';
import type { Message, Part } from '../src/processor/text/messages.ts';
import { goldens, readJson } from './readTensors.ts';
import { sharedGpu } from './sharedGpu.ts';

const gpu = await sharedGpu();
let model: M2Reasoning;
beforeAll(async () => {
  model = await M2Reasoning.load(`${goldens}checkpoints/mrope-bf16`, { gpu });
});
afterAll(() => model.destroy());

/** Paths in the goldens are relative to their folder. */
function withPaths(messages: readonly Message[]): Message[] {
  const withPath = (part: Part): Part =>
    part.type === 'image' ? { ...part, image: `${goldens}${part.image}` } : part;
  return messages.map((message) => ({ ...message, content: (message.content as Part[]).map(withPath) }));
}

const names = readdirSync(`${goldens}generation`).map((file) => file.replace('.json', ''));

describe(`beam search, penalties, n-grams and minimum length choose the reference's tokens, on ${gpu.description}`, () => {
  it.each(names)('%s', async (name) => {
    const golden = readJson(`${goldens}generation/${name}.json`);
    const options = golden.generate_options;
    const result = await model.generate(withPaths(golden.messages), {
      quirks: golden.behaviour === 'intended' ? 'fixed' : 'reference',
      numBeams: options.num_beams,
      lengthPenalty: options.length_penalty,
      maxNewTokens: options.max_new_tokens,
      eosTokenId: options.eos_token_id,
      repetitionPenalty: options.repetition_penalty,
      noRepeatNgramSize: options.no_repeat_ngram_size,
      minLength: options.min_length,
    }).result;
    expect(result.tokens).toEqual(golden.new_ids);
    expect(result.text).toBe(golden.text);
  });
});

describe('sampling', () => {
  const question: Message[] = [{ role: 'user', content: 'What is 12 * 12?' }];
  const draw = (options: GenerateOptions) =>
    model.generate(question, { maxNewTokens: 8, ...options }).result.then(({ tokens }) => tokens);

  it('gives the same answer for the same seed, and another answer for another seed', async () => {
    const first = await draw({ generation: 'model-page', seed: 7 });
    expect(await draw({ generation: 'model-page', seed: 7 })).toEqual(first);
    expect(await draw({ generation: 'model-page', seed: 8 })).not.toEqual(first);
  });

  it('is greedy at temperature 0, and with topK 1', async () => {
    const greedy = await draw({});
    expect(await draw({ temperature: 0, doSample: true })).toEqual(greedy);
    expect(await draw({ topK: 1, seed: 3 })).toEqual(greedy);
  });

  it("uses the checkpoint's options only on request", async () => {
    const tokens = await draw({ generation: 'checkpoint' });
    expect(tokens.length).toBeGreaterThan(0);
  });

  it('works with penalties: with a high one no token of the answer occurs twice', async () => {
    const tokens = await draw({ temperature: 1, seed: 1, presencePenalty: 100, topK: 0, topP: 1 });
    expect(new Set(tokens).size).toBe(tokens.length);
  });
});

describe('BeamScorer', () => {
  const options = { numBeams: 2, maxNewTokens: 4, endTokens: [0], lengthPenalty: 1, earlyStopping: false };

  it('keeps the best continuations of all beams, and their parents', () => {
    const scorer = new BeamScorer(options);
    expect(scorer.candidatesPerStep).toBe(4);
    const first = { ids: [5, 6, 7, 8], logProbs: [-0.1, -0.2, -3, -4] };
    expect(scorer.advance([first, first])).toEqual([0, 0]);
    const second = { ids: [9, 1, 2, 3], logProbs: [-0.5, -2, -3, -4] };
    expect(scorer.advance([second, { ...second, ids: [4, 1, 2, 3] }])).toEqual([0, 1]);
    expect(scorer.beams).toEqual([
      [5, 9],
      [6, 4],
    ]);
  });

  it('ends early with enough answers if earlyStopping is set', () => {
    const scorer = new BeamScorer({ ...options, earlyStopping: true });
    scorer.advance([
      { ids: [5, 6], logProbs: [-0.1, -0.2] },
      { ids: [5, 6], logProbs: [-0.1, -0.2] },
    ]);
    const ending = { ids: [0, 7], logProbs: [-0.1, -5] };
    expect(scorer.advance([ending, ending])).toBeNull();
    expect(scorer.best().tokens).toEqual([5, 0]);
  });
});

it('an aborted search ends with GEN_ABORTED, an invalid number of beams with GEN_RANGE', async () => {
  const question: Message[] = [{ role: 'user', content: 'What is 12 * 12?' }];
  const controller = new AbortController();
  const stream = model.generate(question, { numBeams: 3, signal: controller.signal });
  controller.abort();
  await expect(stream.result).rejects.toMatchObject({ code: 'GEN_ABORTED' });
  await expect(model.generate(question, { numBeams: 0 }).result).rejects.toMatchObject({
    code: 'GEN_RANGE',
    details: { field: 'numBeams' },
  });
});
