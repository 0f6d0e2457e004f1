/** How tokens are chosen: presets, single options, their ranges, and generation_config.json. */
import { ConfigError, GenerationError } from '../../errors.ts';
import {
  booleanField,
  integerField,
  integersField,
  type JsonObject,
  numberField,
  parseConfigObject,
  type Range,
  shown,
} from '../../json.ts';
import type { LlmConfig } from '../checkpoint/config.ts';

/**
 * 'greedy': the most likely token each time. 'model-page': as the model page calls the model. 'reference-default': the
 * defaults of the reference's `generate`. 'checkpoint': what the checkpoint's generation_config.json says.
 */
export type GenerationPreset = 'greedy' | 'model-page' | 'reference-default' | 'checkpoint';

export interface SamplingOptions {
  /**
   * Where the options come from that are not given. Default: 'greedy'; but then a temperature, topK, topP, minP or seed asks
   * for sampling.
   */
  readonly generation?: GenerationPreset;
  /** At least 1. */
  readonly maxNewTokens?: number;
  /** Draw the tokens, instead of taking the most likely one. */
  readonly doSample?: boolean;
  /** 0.0001 to 100; or 0, which is greedy. */
  readonly temperature?: number;
  /** Only the k most likely tokens may be drawn, and what ties with the last of them. 0: off. */
  readonly topK?: number;
  /** Only the most likely tokens that together have this probability, 0.000001 to 1. 1: off. */
  readonly topP?: number;
  /** Only tokens with at least this share of the most likely one's probability, 0 to 1. 0: off. */
  readonly minP?: number;
  /** Below 2^64; default: a random one. The same seed gives the same answer. */
  readonly seed?: number | bigint;
  /** Divides positive logits of tokens in prompt or answer, multiplies negative ones: 0.01 to 100. 1: off. */
  readonly repetitionPenalty?: number;
  /** Taken off the logit of a token that the answer has: -100 to 100. 0: off. */
  readonly presencePenalty?: number;
  /** Taken off for each time that the answer has the token: -100 to 100. 0: off. */
  readonly frequencyPenalty?: number;
  /** No n-gram of this length comes twice, the prompt included. 0: off. */
  readonly noRepeatNgramSize?: number;
  /** No end token before prompt and answer together have as many tokens. */
  readonly minLength?: number;
  /** Beams of a beam search, 1 to 64. Above 1 tokens can't be drawn. */
  readonly numBeams?: number;
  /** Score of a beam's answer: its log-probability / length ^ lengthPenalty. -100 to 100. */
  readonly lengthPenalty?: number;
  /** Ends a beam search as soon as there are `numBeams` answers, not only when none can get better. */
  readonly earlyStopping?: boolean;
  /** The end token, or several. */
  readonly eosTokenId?: number | readonly number[];
}

/** Every option with its value. */
export interface ResolvedOptions
  extends Required<Omit<SamplingOptions, 'generation' | 'seed' | 'eosTokenId'>> {
  readonly seed: bigint;
  readonly endTokens: readonly number[];
}

type Defaults = Omit<ResolvedOptions, 'seed' | 'endTokens'>;
/** The fields of a generation_config.json that are there and mean something here. */
export type CheckpointDefaults = Partial<Defaults> & { readonly endTokens?: readonly number[] };

const REFERENCE_DEFAULTS: Defaults = {
  maxNewTokens: 1024,
  doSample: false,
  temperature: 1,
  topK: 40,
  topP: 0.9,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  noRepeatNgramSize: 0,
  minLength: 1,
  numBeams: 5,
  lengthPenalty: 1,
  earlyStopping: false,
};

/** Follows: modeling_bailing_qwen2_5.py, generate; the README of M2-Reasoning-7B; transformers 4.49, GenerationConfig */
const PRESETS: Readonly<Record<GenerationPreset, Defaults>> = {
  'reference-default': REFERENCE_DEFAULTS,
  greedy: { ...REFERENCE_DEFAULTS, numBeams: 1 },
  'model-page': { ...REFERENCE_DEFAULTS, numBeams: 1, doSample: true, temperature: 0.9, maxNewTokens: 4096 },
  checkpoint: { ...REFERENCE_DEFAULTS, numBeams: 1, topK: 50, topP: 1, minLength: 0 },
};

type NumberOption = { [K in keyof Defaults]: Defaults[K] extends number ? K : never }[keyof Defaults];
const BOOLEANS = ['doSample', 'earlyStopping'] as const;

const MAX_COUNT = 2 ** 31 - 1; // counts are u32 in the kernels
/** Kernels compute in f32: the limits keep what they divide and multiply finite. */
const RANGES: Readonly<Record<NumberOption, Range & { readonly whole: boolean }>> = {
  maxNewTokens: { min: 1, max: MAX_COUNT, whole: true },
  temperature: { min: 0, max: 100, whole: false },
  topK: { min: 0, max: MAX_COUNT, whole: true },
  topP: { min: 1e-6, max: 1, whole: false },
  minP: { min: 0, max: 1, whole: false },
  repetitionPenalty: { min: 0.01, max: 100, whole: false },
  presencePenalty: { min: -100, max: 100, whole: false },
  frequencyPenalty: { min: -100, max: 100, whole: false },
  noRepeatNgramSize: { min: 0, max: MAX_COUNT, whole: true },
  minLength: { min: 0, max: MAX_COUNT, whole: true },
  numBeams: { min: 1, max: 64, whole: true },
  lengthPenalty: { min: -100, max: 100, whole: false },
};
const MIN_TEMPERATURE = 1e-4;
const MAX_SEED = 2n ** 64n - 1n;

/**
 * Puts options, preset and checkpoint together.
 *
 * @param checkpoint what `parseGenerationConfig` found; null without the file. Only 'checkpoint' reads it
 * @throws GenerationError GEN_RANGE with the option's name in `details.field`; ConfigError CONFIG_MISSING for 'checkpoint'
 *   without the file
 */
export function resolveGenerationOptions(
  options: SamplingOptions,
  llm: Pick<LlmConfig, 'eosTokenId' | 'vocabSize'>,
  checkpoint: CheckpointDefaults | null,
): ResolvedOptions {
  const preset = presetOf(options, checkpoint);
  const { endTokens: presetEnd = [llm.eosTokenId], ...defaults } = preset;
  const resolved: Record<string, unknown> = { ...defaults };
  for (const field of Object.keys(RANGES) as NumberOption[]) {
    if (options[field] !== undefined) resolved[field] = checkNumber(field, options[field]);
  }
  for (const field of BOOLEANS) {
    if (options[field] !== undefined) resolved[field] = checkBoolean(field, options[field]);
  }
  const endTokens = options.eosTokenId === undefined ? presetEnd : checkEndTokens(options.eosTokenId, llm);
  const seed = options.seed === undefined ? randomSeed() : checkSeed(options.seed);
  const { temperature, doSample, numBeams } = resolved as unknown as Defaults;
  const draws = temperature > 0 && (doSample || asksForSampling(options));
  if (draws && numBeams > 1) {
    throw rangeError('numBeams', numBeams, '1 where tokens are drawn (doSample)');
  }
  return { ...(resolved as unknown as Defaults), doSample: draws, seed, endTokens };
}

/**
 * Reads generation_config.json. Fields with null are left out, as are those that mean nothing here.
 *
 * @throws ConfigError CONFIG_PARSE, CONFIG_TYPE, CONFIG_RANGE, CONFIG_TOO_LARGE
 * Follows: transformers 4.49, generation/configuration_utils.py, GenerationConfig
 */
export function parseGenerationConfig(
  bytes: Uint8Array,
  llm: Pick<LlmConfig, 'vocabSize'>,
  file = 'generation_config.json',
): CheckpointDefaults {
  const config = parseConfigObject(bytes, file);
  const has = (key: string) => (config.fields.get(key) ?? null) !== null;
  const found: Record<string, unknown> = {};
  for (const [field, { whole, ...range }] of Object.entries(RANGES)) {
    const key = snakeCase(field);
    if (has(key)) found[field] = (whole ? integerField : numberField)(config, key, range);
  }
  for (const field of BOOLEANS) {
    const key = snakeCase(field);
    if (has(key)) found[field] = booleanField(config, key, false);
  }
  if (has('eos_token_id')) found.endTokens = endTokensField(config, llm);
  const { temperature } = found as CheckpointDefaults;
  if (temperature !== undefined && temperature < MIN_TEMPERATURE) found.temperature = 0;
  return found;
}

function endTokensField(config: JsonObject, { vocabSize }: Pick<LlmConfig, 'vocabSize'>): readonly number[] {
  const range = { min: 0, max: vocabSize - 1 };
  const isList = Array.isArray(config.fields.get('eos_token_id'));
  return isList
    ? integersField(config, 'eos_token_id', range)
    : [integerField(config, 'eos_token_id', range)];
}

function presetOf(
  { generation = 'greedy' }: SamplingOptions,
  checkpoint: CheckpointDefaults | null,
): Defaults & CheckpointDefaults {
  if (!Object.hasOwn(PRESETS, generation)) {
    throw rangeError('generation', generation, Object.keys(PRESETS).join(', '));
  }
  if (generation !== 'checkpoint') return PRESETS[generation];
  if (checkpoint !== null) return { ...PRESETS.checkpoint, ...checkpoint };
  throw new ConfigError(
    'CONFIG_MISSING',
    "generation is 'checkpoint', but there is no generation_config.json",
    {
      file: 'generation_config.json',
      field: 'generation',
      hint: 'add the file to the checkpoint, or choose another preset',
    },
  );
}

function asksForSampling(options: SamplingOptions): boolean {
  if (options.generation !== undefined || options.doSample !== undefined) return false;
  const { temperature, topK, topP, minP, seed } = options;
  return [temperature, topK, topP, minP, seed].some((value) => value !== undefined);
}

function checkNumber(field: NumberOption, value: unknown): number {
  const { min, max, whole } = RANGES[field];
  const isInRange = typeof value === 'number' && value >= min && value <= max;
  const isTooCold = field === 'temperature' && value !== 0 && (value as number) < MIN_TEMPERATURE;
  if (isInRange && !isTooCold && (!whole || Number.isInteger(value))) return value;
  const lowest = field === 'temperature' ? `0, or from ${MIN_TEMPERATURE}` : `from ${min}`;
  throw rangeError(field, value, `a ${whole ? 'whole ' : ''}number ${lowest} to ${max}`);
}

function checkBoolean(field: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  throw rangeError(field, value, 'true or false');
}

function checkSeed(value: unknown): bigint {
  const seed = typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : value;
  if (typeof seed === 'bigint' && seed >= 0n && seed <= MAX_SEED) return seed;
  throw rangeError('seed', value, 'a whole number from 0 to 2^53 - 1, or a bigint below 2^64');
}

function checkEndTokens(value: unknown, { vocabSize }: Pick<LlmConfig, 'vocabSize'>): readonly number[] {
  const ids: unknown[] = Array.isArray(value) ? value : [value];
  const isId = (id: unknown) => Number.isInteger(id) && (id as number) >= 0 && (id as number) < vocabSize;
  const wrong = ids.findIndex((id) => !isId(id));
  if (wrong < 0) return ids as number[];
  const field = Array.isArray(value) ? `eosTokenId[${wrong}]` : 'eosTokenId';
  throw rangeError(field, ids[wrong], `a whole number from 0 to ${vocabSize - 1}`);
}

function randomSeed(): bigint {
  return crypto.getRandomValues(new BigUint64Array(1))[0];
}

/** `field` has a value that it can't have. */
export function rangeError(field: string, actual: unknown, expected: string): GenerationError {
  return new GenerationError('GEN_RANGE', `${field} is ${written(actual)}`, {
    field,
    expected,
    actual,
    hint: `give ${expected}`,
  });
}

/** As `shown`, for what a caller may hand over and JSON does not have. */
function written(value: unknown): string {
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : 'an object';
  return shown(value);
}

function snakeCase(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
