/** The options that control how tokens are chosen: presets, single options with their ranges, and generation_config.json. */
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
 * 'greedy': always the most likely token. 'model-page': the options used on the model's web page. 'reference-default': the
 * defaults of the reference's `generate`. 'checkpoint': the options in the checkpoint's generation_config.json.
 */
export type GenerationPreset = 'greedy' | 'model-page' | 'reference-default' | 'checkpoint';

export interface SamplingOptions {
  /**
   * The source of options that are not given. Default: 'greedy'; without this option and `doSample`, however, a temperature,
   * topK, topP, minP or seed turns sampling on.
   */
  readonly generation?: GenerationPreset;
  /** Maximum number of new tokens, at least 1. */
  readonly maxNewTokens?: number;
  /** Sample the tokens instead of taking the most likely one. */
  readonly doSample?: boolean;
  /** 0.0001 to 100, or 0 for greedy decoding. */
  readonly temperature?: number;
  /** Sample only from the k most likely tokens and those equally likely as the last of them. 0: off. */
  readonly topK?: number;
  /** Sample only from the smallest set of most likely tokens with this total probability, 0.000001 to 1. 1: off. */
  readonly topP?: number;
  /** Sample only from tokens with at least this share of the highest probability, 0 to 1. 0: off. */
  readonly minP?: number;
  /** Below 2^64; default: a random one. The same seed gives the same answer. */
  readonly seed?: number | bigint;
  /** For tokens in the prompt or the answer: positive logits are divided by it, negative ones multiplied; 0.01 to 100. 1: off. */
  readonly repetitionPenalty?: number;
  /** Subtracted from the logit of each token in the answer, -100 to 100. 0: off. */
  readonly presencePenalty?: number;
  /** Subtracted once for each occurrence of the token in the answer, -100 to 100. 0: off. */
  readonly frequencyPenalty?: number;
  /** No n-gram of this length may occur twice in prompt and answer. 0: off. */
  readonly noRepeatNgramSize?: number;
  /** No end token before prompt and answer together have this many tokens. 0: off. */
  readonly minLength?: number;
  /** Number of beams of a beam search, 1 to 64. More than 1 can't be combined with sampling. */
  readonly numBeams?: number;
  /** A beam's score is its log-probability / length ^ lengthPenalty. -100 to 100. */
  readonly lengthPenalty?: number;
  /** End a beam search once there are `numBeams` answers, even if one could still get better. */
  readonly earlyStopping?: boolean;
  /** The id of the end token, or several ids. */
  readonly eosTokenId?: number | readonly number[];
}

/** All options with their values. */
export interface ResolvedOptions
  extends Required<Omit<SamplingOptions, 'generation' | 'seed' | 'eosTokenId'>> {
  readonly seed: bigint;
  readonly endTokens: readonly number[];
}

type Defaults = Omit<ResolvedOptions, 'seed' | 'endTokens'>;
/** The fields of a generation_config.json that this library uses. */
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
/** Kernels compute in f32: the limits keep their products and quotients finite. */
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
 * Combines options, preset and checkpoint.
 *
 * @param checkpoint the result of `parseGenerationConfig`, used by the preset 'checkpoint'; null if there is no file
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
    throw rangeError('numBeams', numBeams, '1 for sampling (doSample)');
  }
  return { ...(resolved as unknown as Defaults), doSample: draws, seed, endTokens };
}

/**
 * Parses generation_config.json. Fields that are null or unknown to this library are ignored.
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

/** The error for an option with an invalid value. */
export function rangeError(field: string, actual: unknown, expected: string): GenerationError {
  return new GenerationError('GEN_RANGE', `${field} is ${written(actual)}`, {
    field,
    expected,
    actual,
    hint: `give ${expected}`,
  });
}

/** Like `shown`, but also for values that JSON does not have. */
function written(value: unknown): string {
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : 'an object';
  return shown(value);
}

function snakeCase(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
