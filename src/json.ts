/**
 * JSON files from strangers: parsed within limits, then read field by field with the type and range that each
 * must have. Fields land in a Map, so `__proto__` and `constructor` are names like any other.
 */
import { ConfigError, type ErrorCode } from './errors.ts';

/** Config files are a few kilobytes; Rust's and Python's readers have no limit, we need one. */
export const MAX_CONFIG_BYTES = 16 * 2 ** 20;
const MAX_DEPTH = 64;

const RESTORE_HINT = 'take the file that was published with these weights';

/**
 * @param bytes UTF-8, with or without a byte order mark
 * @throws SyntaxError only: not UTF-8, not JSON, or nested deeper than 64; callers wrap it in their own class
 */
export function parseJson(bytes: Uint8Array): unknown {
  if (scanJson(bytes).depth > MAX_DEPTH) throw new SyntaxError(`nested more than ${MAX_DEPTH} deep`);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new SyntaxError('not UTF-8 text');
  }
  return JSON.parse(text);
}

/**
 * Walks over the bytes without recursion, before any parser sees them.
 *
 * @returns the deepest nesting, and how many keys the outermost object has, repeated ones counted each time
 *   (`JSON.parse` silently keeps the last of them); meaningless if the bytes turn out not to be JSON
 */
export function scanJson(bytes: Uint8Array): { depth: number; outerKeys: number } {
  let depth = 0;
  let deepest = 0;
  let outerKeys = 0;
  let inString = false;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]; // no byte of a longer UTF-8 character equals one of these ASCII marks
    if (byte === QUOTE) inString = !inString;
    else if (inString) i += byte === BACKSLASH ? 1 : 0;
    else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) deepest = Math.max(deepest, ++depth);
    else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) depth--;
    else if (byte === COLON && depth === 1) outerKeys++;
  }
  return { depth: deepest, outerKeys };
}

const [QUOTE, BACKSLASH, COLON] = [0x22, 0x5c, 0x3a];
const [OPEN_BRACE, CLOSE_BRACE, OPEN_BRACKET, CLOSE_BRACKET] = [0x7b, 0x7d, 0x5b, 0x5d];

/** A JSON object, and where it stands: `file` and `path` begin every message about it. */
export interface JsonObject {
  readonly file: string;
  /** `''` at the top, else e.g. `llm_config`. */
  readonly path: string;
  readonly fields: ReadonlyMap<string, unknown>;
}

/** Inclusive limits of a number. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/** @throws ConfigError CONFIG_TOO_LARGE if a config file of `sizeBytes` is not worth reading */
export function assertConfigSize(sizeBytes: number, file: string): void {
  if (sizeBytes <= MAX_CONFIG_BYTES) return;
  throw new ConfigError(
    'CONFIG_TOO_LARGE',
    `${file} has ${sizeBytes} bytes, a config has ${MAX_CONFIG_BYTES} at most`,
    {
      file,
      hint: 'check that this is the right file',
    },
  );
}

/**
 * Parses a config file whose outermost value must be an object.
 *
 * @throws ConfigError CONFIG_TOO_LARGE over 16 MB; CONFIG_PARSE for anything that is not a JSON object;
 *   CONFIG_RANGE for the bare `NaN` and `Infinity` that Python writes and JSON does not have
 */
export function parseConfigObject(bytes: Uint8Array, file: string): JsonObject {
  assertConfigSize(bytes.byteLength, file);
  let value: unknown;
  try {
    value = parseJson(bytes);
  } catch (cause) {
    const notANumber = /"([^"\\]*)"\s*:\s*(-?(?:NaN|Infinity))/.exec(new TextDecoder().decode(bytes));
    if (notANumber !== null) {
      const [, field, written] = notANumber;
      throw new ConfigError('CONFIG_RANGE', `${file}: ${field} is ${written}, expected a number`, {
        file,
        field,
        cause,
      });
    }
    const reason = (cause as SyntaxError).message;
    throw new ConfigError('CONFIG_PARSE', `${file} is not valid JSON (${reason})`, {
      file,
      cause,
      hint: 'download the file again, or correct it',
    });
  }
  const object = asObject(value, file, '');
  if (object !== null) return object;
  throw new ConfigError('CONFIG_PARSE', `${file} holds ${shown(value)}, expected a JSON object`, { file });
}

/** @throws ConfigError CONFIG_MISSING, CONFIG_TYPE (also for null) */
export function objectField(parent: JsonObject, key: string, hint?: string): JsonObject {
  const value = required(parent, key, hint);
  const object = asObject(value, parent.file, pathOf(parent, key));
  if (object !== null) return object;
  throw fieldError('CONFIG_TYPE', parent, key, 'an object');
}

/** An object that may be left out or null. @throws ConfigError CONFIG_TYPE */
export function optionalObjectField(parent: JsonObject, key: string): JsonObject | null {
  return (parent.fields.get(key) ?? null) === null ? null : objectField(parent, key);
}

/**
 * @param fallback the value of a missing field; without it the field is required
 * @throws ConfigError CONFIG_MISSING, CONFIG_TYPE (also for null and fractions), CONFIG_RANGE
 */
export function integerField(object: JsonObject, key: string, range: Range, fallback?: number): number {
  const value = numberField(object, key, range, fallback);
  if (!Number.isInteger(value)) throw fieldError('CONFIG_TYPE', object, key, 'an integer');
  return value;
}

/** As `integerField`, for any number. */
export function numberField(object: JsonObject, key: string, range: Range, fallback?: number): number {
  if (fallback !== undefined && !object.fields.has(key)) return fallback;
  const value = required(object, key);
  if (typeof value !== 'number') throw fieldError('CONFIG_TYPE', object, key, 'a number');
  if (value >= range.min && value <= range.max) return value;
  throw fieldError('CONFIG_RANGE', object, key, `a number from ${range.min} to ${range.max}`);
}

/** An array of numbers, each in `range`. @throws ConfigError as `numberField` */
export function numbersField(
  object: JsonObject,
  key: string,
  range: Range,
  fallback?: readonly number[],
): readonly number[] {
  if (fallback !== undefined && !object.fields.has(key)) return fallback;
  const values = required(object, key);
  if (!Array.isArray(values) || values.some((value) => typeof value !== 'number')) {
    throw fieldError('CONFIG_TYPE', object, key, 'an array of numbers');
  }
  if (values.every((value) => value >= range.min && value <= range.max)) return values;
  throw fieldError('CONFIG_RANGE', object, key, `numbers from ${range.min} to ${range.max}`);
}

/** As `numbersField`, for integers. */
export function integersField(
  object: JsonObject,
  key: string,
  range: Range,
  fallback?: readonly number[],
): readonly number[] {
  const values = numbersField(object, key, range, fallback);
  if (values.every(Number.isInteger)) return values;
  throw fieldError('CONFIG_TYPE', object, key, 'an array of integers');
}

/** @throws ConfigError CONFIG_TYPE */
export function booleanField(object: JsonObject, key: string, fallback: boolean): boolean {
  const value = object.fields.has(key) ? object.fields.get(key) : fallback;
  if (typeof value === 'boolean') return value;
  throw fieldError('CONFIG_TYPE', object, key, 'true or false');
}

/** Only one value of `key` is implemented; a missing field means it. @throws ConfigError CONFIG_UNSUPPORTED */
export function assertOnly(object: JsonObject, key: string, supported: string | number | boolean): void {
  if (!object.fields.has(key) || object.fields.get(key) === supported) return;
  throw fieldError(
    'CONFIG_UNSUPPORTED',
    object,
    key,
    `${JSON.stringify(supported)}, all that is implemented`,
  );
}

/** `config.json: llm_config.hidden_size is 3585, expected …`; `hint` says what to do. */
export function fieldError(
  code: ErrorCode,
  object: JsonObject,
  key: string,
  expected: string,
  hint = RESTORE_HINT,
): ConfigError {
  const field = pathOf(object, key);
  const actual = object.fields.get(key);
  const found = object.fields.has(key) ? `is ${shown(actual)}` : 'is missing';
  const message = `${object.file}: ${field} ${found}, expected ${expected}`;
  return new ConfigError(code, message, { file: object.file, field, expected, actual, hint });
}

function required(object: JsonObject, key: string, hint = RESTORE_HINT): unknown {
  if (object.fields.has(key)) return object.fields.get(key);
  const field = pathOf(object, key);
  throw new ConfigError('CONFIG_MISSING', `${object.file}: ${field} is missing`, {
    file: object.file,
    field,
    hint,
  });
}

/** What JSON calls an object: neither null nor an array. */
export function isJsonObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function asObject(value: unknown, file: string, path: string): JsonObject | null {
  if (!isJsonObject(value)) return null;
  return { file, path, fields: new Map(Object.entries(value)) };
}

function pathOf(object: JsonObject, key: string): string {
  return object.path === '' ? key : `${object.path}.${key}`;
}

/** A tensor's name as messages show it: a stranger's may hold anything, also control codes for the terminal. */
export function shownName(name: string): string {
  return /^[\w.-]{1,200}$/.test(name) ? name : shown(name);
}

/** A value as messages show it: JSON, cut where it gets long. */
export function shown(value: unknown): string {
  const text = typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? 'nothing');
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
