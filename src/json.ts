/**
 * Untrusted JSON files: parsed within limits, then read field by field, each with its type and range. Fields are kept in a
 * Map, so that `__proto__` and `constructor` are names like any other.
 */
import { ConfigError, type ErrorCode } from './errors.ts';

/** Far above any real config file, which has a few kilobytes. */
export const MAX_CONFIG_BYTES = 16 * 2 ** 20;
const MAX_DEPTH = 64;

const RESTORE_HINT = 'take the file that was published with these weights';

/**
 * Parses JSON.
 *
 * @param bytes UTF-8, with or without a byte order mark
 * @throws SyntaxError if the bytes are not UTF-8, not JSON, or nested more than 64 deep; callers wrap it in their own class
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
 * Scans the bytes without recursion, before any parser sees them.
 *
 * @returns the deepest nesting and the number of keys in the outermost object, with duplicates counted each time (`JSON.parse`
 *   silently keeps the last); meaningless if the bytes are not JSON
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

/** A JSON object and its place: every message about it begins with `file` and `path`. */
export interface JsonObject {
  readonly file: string;
  /** `''` for the outermost object, else e.g. `llm_config`. */
  readonly path: string;
  readonly fields: ReadonlyMap<string, unknown>;
}

/** Inclusive limits of a number. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/** @throws ConfigError CONFIG_TOO_LARGE above 16 MiB */
export function assertConfigSize(sizeBytes: number, file: string): void {
  if (sizeBytes <= MAX_CONFIG_BYTES) return;
  throw new ConfigError(
    'CONFIG_TOO_LARGE',
    `${file} has ${sizeBytes} bytes, the limit for a config is ${MAX_CONFIG_BYTES}`,
    {
      file,
      hint: 'check that this is the right file',
    },
  );
}

/**
 * Parses a config file whose outermost value must be an object.
 *
 * @throws ConfigError CONFIG_TOO_LARGE above 16 MiB; CONFIG_PARSE for anything but a JSON object; CONFIG_RANGE for a bare `NaN`
 *   or `Infinity`, which Python writes but JSON does not have
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

/** A required object. @throws ConfigError CONFIG_MISSING, CONFIG_TYPE (also for null) */
export function objectField(parent: JsonObject, key: string, hint?: string): JsonObject {
  const value = required(parent, key, hint);
  const object = asObject(value, parent.file, pathOf(parent, key));
  if (object !== null) return object;
  throw fieldError('CONFIG_TYPE', parent, key, 'an object');
}

/** An object that may be missing or null; both give null. @throws ConfigError CONFIG_TYPE */
export function optionalObjectField(parent: JsonObject, key: string): JsonObject | null {
  return (parent.fields.get(key) ?? null) === null ? null : objectField(parent, key);
}

/**
 * An integer in `range`.
 *
 * @param fallback the value of a missing field; without it the field is required
 * @throws ConfigError CONFIG_MISSING, CONFIG_TYPE (also for null and fractions), CONFIG_RANGE
 */
export function integerField(object: JsonObject, key: string, range: Range, fallback?: number): number {
  const value = numberField(object, key, range, fallback);
  if (!Number.isInteger(value)) throw fieldError('CONFIG_TYPE', object, key, 'an integer');
  return value;
}

/** A number in `range`. @throws ConfigError CONFIG_MISSING, CONFIG_TYPE, CONFIG_RANGE */
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

/** An array of integers, each in `range`. @throws ConfigError as `numberField` */
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

/** A boolean; `fallback` if it is missing. @throws ConfigError CONFIG_TYPE */
export function booleanField(object: JsonObject, key: string, fallback: boolean): boolean {
  const value = object.fields.has(key) ? object.fields.get(key) : fallback;
  if (typeof value === 'boolean') return value;
  throw fieldError('CONFIG_TYPE', object, key, 'true or false');
}

/** For a field with a single supported value, which is also its default. @throws ConfigError CONFIG_UNSUPPORTED */
export function assertOnly(object: JsonObject, key: string, supported: string | number | boolean): void {
  if (!object.fields.has(key) || object.fields.get(key) === supported) return;
  throw fieldError(
    'CONFIG_UNSUPPORTED',
    object,
    key,
    `${JSON.stringify(supported)}, the only supported value`,
  );
}

/** The error `config.json: llm_config.hidden_size is 3585, expected …`, followed by `hint`. */
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

/** Whether a value is an object in the sense of JSON: neither null nor an array. */
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

/** A tensor's name as messages show it. An untrusted name may contain anything, even terminal control codes. */
export function shownName(name: string): string {
  return /^[\w.-]{1,200}$/.test(name) ? name : shown(name);
}

/** A value as messages show it: JSON, cut at 60 characters. */
export function shown(value: unknown): string {
  const text = typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? 'nothing');
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
