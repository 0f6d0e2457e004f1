import { describe, expect, it } from 'vitest';
import {
  type CheckpointDefaults,
  parseGenerationConfig,
  resolveGenerationOptions,
  type SamplingOptions,
} from '../../src/model/generation/samplingOptions.ts';

const llm = { eosTokenId: 452, vocabSize: 560 };
const resolve = (options: object, checkpoint: CheckpointDefaults | null = null) =>
  resolveGenerationOptions(options as SamplingOptions, llm, checkpoint);
const parse = (config: unknown) =>
  parseGenerationConfig(new TextEncoder().encode(JSON.stringify(config)), llm);

const off = { minP: 0, presencePenalty: 0, frequencyPenalty: 0, noRepeatNgramSize: 0, earlyStopping: false };
const reference = {
  ...off,
  ...{ maxNewTokens: 1024, topK: 40, topP: 0.9, temperature: 1, repetitionPenalty: 1 },
  ...{ lengthPenalty: 1, minLength: 1, endTokens: [452], seed: 5n },
};

describe('presets', () => {
  it.each([
    [{}, { ...reference, numBeams: 1, doSample: false }],
    [{ generation: 'greedy' }, { ...reference, numBeams: 1, doSample: false }],
    [{ generation: 'reference-default' }, { ...reference, numBeams: 5, doSample: false }],
    [
      { generation: 'model-page' },
      { ...reference, numBeams: 1, doSample: true, temperature: 0.9, maxNewTokens: 4096 },
    ],
  ])('%j', (options, expected) => {
    // a fixed seed, except in the first row, where it would turn on sampling
    expect(resolve({ ...options, seed: 5, doSample: expected.doSample })).toEqual(expected);
  });

  it('are overridden by single options', () => {
    const { temperature, topK, maxNewTokens, doSample } = resolve({
      generation: 'model-page',
      temperature: 0.5,
      maxNewTokens: 7,
    });
    expect({ temperature, topK, maxNewTokens, doSample }).toEqual({
      ...{ temperature: 0.5, topK: 40, maxNewTokens: 7, doSample: true },
    });
    expect(resolve({ generation: 'reference-default', numBeams: 2 }).numBeams).toBe(2);
    expect(resolve({ eosTokenId: [1, 2] }).endTokens).toEqual([1, 2]);
    expect(resolve({ eosTokenId: 0 }).endTokens).toEqual([0]);
  });

  it('without a preset, options that only sampling needs turn it on', () => {
    for (const options of [{ temperature: 0.7 }, { topK: 5 }, { topP: 0.5 }, { minP: 0.1 }, { seed: 1 }]) {
      expect(resolve(options).doSample, JSON.stringify(options)).toBe(true);
      expect(resolve({ ...options, generation: 'greedy' }).doSample).toBe(false);
      expect(resolve({ ...options, doSample: false }).doSample).toBe(false);
    }
    expect(resolve({ maxNewTokens: 5, repetitionPenalty: 1.1 }).doSample).toBe(false);
  });

  it('are greedy at temperature 0', () => {
    expect(resolve({ temperature: 0 }).doSample).toBe(false);
    expect(resolve({ generation: 'model-page', temperature: 0 }).doSample).toBe(false);
  });

  it('have a new seed each time', () => {
    expect(resolve({}).seed).not.toBe(resolve({}).seed);
    expect(resolve({ seed: 2n ** 64n - 1n }).seed).toBe(2n ** 64n - 1n);
  });
});

describe('generation_config.json', () => {
  const config = {
    ...{ bos_token_id: 450, do_sample: true, eos_token_id: [452, 450], repetition_penalty: 1.05 },
    ...{
      temperature: 0.1,
      top_k: 1,
      top_p: 0.001,
      min_p: null,
      max_new_tokens: 9,
      transformers_version: 'x',
    },
  };

  it("is only read by the preset 'checkpoint'", () => {
    const found = parse(config);
    expect(resolve({ generation: 'checkpoint', seed: 5 }, found)).toEqual({
      ...reference,
      ...{ repetitionPenalty: 1.05, temperature: 0.1, topK: 1, topP: 0.001, maxNewTokens: 9, minLength: 0 },
      ...{ numBeams: 1, doSample: true, endTokens: [452, 450] },
    });
    expect(resolve({ generation: 'checkpoint', topK: 3 }, found).topK).toBe(3);
    expect(resolve({ generation: 'model-page', seed: 5 }, found)).toEqual(
      resolve({ generation: 'model-page', seed: 5 }),
    );
    expect(resolve({ generation: 'checkpoint' }, parse({})).topK).toBe(50); // transformers' own default
    expect(resolve({ generation: 'checkpoint' }, parse({ eos_token_id: 3 })).endTokens).toEqual([3]);
  });

  it('is an error if it is requested but missing', () => {
    expect(() => resolve({ generation: 'checkpoint' })).toThrow(
      expect.objectContaining({ name: 'ConfigError', code: 'CONFIG_MISSING' }),
    );
  });

  it.each([
    [{ temperature: -1 }, 'CONFIG_RANGE', 'temperature'],
    [{ top_k: 1.5 }, 'CONFIG_TYPE', 'top_k'],
    [{ do_sample: 'yes' }, 'CONFIG_TYPE', 'do_sample'],
    [{ eos_token_id: [560] }, 'CONFIG_RANGE', 'eos_token_id'],
    [{ eos_token_id: '3' }, 'CONFIG_TYPE', 'eos_token_id'],
  ])('%j is %s', (fields, code, field) => {
    expect(() => parse(fields)).toThrow(
      expect.objectContaining({ code, details: expect.objectContaining({ field }) }),
    );
  });
});

describe('bad options', () => {
  const bad: Record<string, unknown[]> = {
    generation: ['Greedy', '', '__proto__', 3, null],
    maxNewTokens: [0, -1, 1.5, Number.NaN, Infinity, '5', null, 2 ** 40],
    doSample: ['true', 1, null],
    temperature: [-1, 1e9, Number.NaN, Infinity, '0.9', null, 1e-9, -0.5],
    topK: [-1, 1.5, Number.NaN, '4', Infinity],
    topP: [-1, 0, 2, Number.NaN, '0.5'],
    minP: [-0.1, 1.1, Number.NaN],
    seed: [-1, 2 ** 64, 2n ** 64n, -1n, 1.5, '7', null, Number.NaN],
    repetitionPenalty: [0, -1, 1e9, Number.NaN],
    presencePenalty: [Number.NaN, 1e9, '1'],
    frequencyPenalty: [Number.NaN, -1e9],
    noRepeatNgramSize: [-1, 2.5],
    minLength: [-1, 0.5, Infinity],
    numBeams: [0, 10 ** 6, 1.5, -1],
    lengthPenalty: [Number.NaN, Infinity, 1e9],
    earlyStopping: ['never', 0],
    eosTokenId: [-1, 560, 1.5, '3', null],
  };
  const rows = Object.entries(bad).flatMap(([field, values]) => values.map((value) => ({ field, value })));

  it.each(rows)('$field $value', ({ field, value }) => {
    expect(() => resolve({ [field]: value })).toThrow(
      expect.objectContaining({
        name: 'GenerationError',
        code: 'GEN_RANGE',
        message: expect.stringMatching(new RegExp(`^${field} is .*; give `)),
        details: expect.objectContaining({ field, actual: value }),
      }),
    );
  });

  it('in a list are named with their index', () => {
    expect(() => resolve({ eosTokenId: [3, 2n] })).toThrow(/^eosTokenId\[1\] is 2n; give a whole number/);
  });

  it('beams and sampling at once', () => {
    const mixed = { generation: 'model-page', numBeams: 5 };
    expect(() => resolve(mixed)).toThrow(/^numBeams is 5; give 1 for sampling/);
    expect(resolve({ ...mixed, doSample: false }).numBeams).toBe(5);
  });
});
