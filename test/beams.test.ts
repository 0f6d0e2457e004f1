import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openGpu } from '../src/gpu/device.ts';
import { BeamScorer } from '../src/model/beamScorer.ts';
import { M2Reasoning } from '../src/model/m2Reasoning.ts';
import type { Message, Part } from '../src/processor/messages.ts';
import { goldens, readJson } from './readTensors.ts';

const gpu = await openGpu();
let model: M2Reasoning;
beforeAll(async () => {
  model = await M2Reasoning.load(`${goldens}checkpoints/mrope-bf16`, { gpu });
});
afterAll(async () => {
  await model.destroy();
  gpu.destroy();
});

/** Paths of the goldens are relative to their folder. */
function withPaths(messages: readonly Message[]): Message[] {
  const withPath = (part: Part): Part =>
    part.type === 'image' ? { ...part, image: `${goldens}${part.image}` } : part;
  return messages.map((message) => ({ ...message, content: (message.content as Part[]).map(withPath) }));
}

describe(`beam search finds the reference's answers, on ${gpu.description}`, () => {
  it.each([
    'beam5-text',
    'beam5-eos',
    'beam5-length-penalty-3',
    'beam5-length-penalty-minus-1',
    'beam5-image-intended',
    'beam5-image-published',
  ])('%s', async (name) => {
    const golden = readJson(`${goldens}generation/${name}.json`);
    const { num_beams, length_penalty, max_new_tokens, eos_token_id } = golden.generate_options;
    const result = await model.generate(withPaths(golden.messages), {
      quirks: golden.behaviour === 'intended' ? 'fixed' : 'reference',
      numBeams: num_beams,
      lengthPenalty: length_penalty,
      maxNewTokens: max_new_tokens,
      eosTokenId: eos_token_id,
    }).result;
    expect(result.tokens).toEqual(golden.new_ids);
    expect(result.text).toBe(golden.text);
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

  it('ends early with enough answers when asked to', () => {
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

it('a search that is aborted ends with GEN_ABORTED, and a bad number of beams with GEN_RANGE', async () => {
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
