/** Checks a conversation from a caller. All later code relies on these checks. */
import { type ErrorCode, InputError } from '../../errors.ts';
import type { ImageSource } from '../image/imageSource.ts';
import {
  type ImagePart,
  imagesOf,
  type Message,
  type Part,
  partsOf,
  type SizeOptions,
  type VideoPart,
} from './messages.ts';

/** Limits of a conversation. Characters are UTF-16 code units, as in `string.length`. */
export const messageLimits = {
  messages: 256,
  /** A clip counts as one. */
  images: 32,
  /** Frames of all clips together. The published FPS_MAX_FRAMES is the same, but for one clip. */
  frames: 768,
  /** Larger values would only make large, mostly unused tables of positions. */
  secondsPerGrid: 60,
  /** Characters of all text together. */
  text: 1_000_000,
  /** Characters without a break: BPE treats them as one word, and takes more than linear time. */
  run: 65_536,
} as const;

/** The size options, as spelled in the published code and in this library. Both are accepted. */
const sizeOptions = [
  ['min_pixels', 'minPixels'],
  ['max_pixels', 'maxPixels'],
  ['resized_height', 'resizedHeight'],
  ['resized_width', 'resizedWidth'],
] as const;

/**
 * Checks a conversation from a caller and copies it without unknown fields. Options may be spelled `minPixels` or, as in the
 * published code, `min_pixels`; the result has the first form.
 *
 * @param messages should be `Message[]`; `details.field` of an error says where it is not, e.g. `messages[2].content[0]`
 * @returns the conversation; image data is not copied
 * @throws InputError INPUT_TYPE (a value of the wrong type), INPUT_EMPTY (no messages, an empty list of images or frames, an empty
 *   path), INPUT_ROLE, INPUT_PART_UNKNOWN, INPUT_RANGE (a size that is not a positive whole number, `exifOrientation` other than
 *   'ignore' and 'apply', `secondsPerGrid` not over 0 and at most 60), INPUT_TOO_LONG (over 256 messages, 1 M characters in all,
 *   or 64 K without a break), INPUT_TOO_MANY_IMAGES (over 32), INPUT_TOO_MANY_FRAMES (over 768 in all)
 */
export function checkMessages(messages: unknown): Message[] {
  if (!Array.isArray(messages))
    throw inputError('INPUT_TYPE', 'messages', `expected a list, got ${kindOf(messages)}`);
  if (messages.length === 0)
    throw inputError('INPUT_EMPTY', 'messages', 'the list is empty, give at least one');
  if (messages.length > messageLimits.messages) {
    throw inputError(
      'INPUT_TOO_LONG',
      'messages',
      `${messages.length}, the limit is ${messageLimits.messages}`,
    );
  }

  const checked = messages.map((message, i) => checkMessage(message, `messages[${i}]`));

  let characters = 0;
  let frames = 0;
  for (const [i, message] of checked.entries()) {
    for (const part of partsOf(message)) {
      if (part.type === 'text') characters += part.text.length;
      if (part.type === 'video') frames += part.frames.length;
    }
    checkFrameCount(frames, `messages[${i}].content`);
    if (characters > messageLimits.text) {
      const what = `the text up to here has ${characters} characters, the limit is ${messageLimits.text}`;
      throw inputError('INPUT_TOO_LONG', `messages[${i}].content`, what);
    }
  }
  const images = imagesOf(checked).length;
  if (images > messageLimits.images) {
    throw inputError(
      'INPUT_TOO_MANY_IMAGES',
      'messages',
      `${images} images, the limit is ${messageLimits.images}`,
    );
  }
  return checked;
}

/**
 * @throws InputError INPUT_TOO_LONG for over 64 K letters, spaces or symbols in a row (digits are always separate tokens)
 */
export function checkRuns(text: string, field: string): void {
  if (text.length <= messageLimits.run) return;
  for (const [run] of text.matchAll(/\p{L}+|\s+|[^\s\p{L}\p{N}]+/gu)) {
    if (run.length <= messageLimits.run) continue;
    const what = `${run.length} characters without a break, the limit is ${messageLimits.run}`;
    throw inputError('INPUT_TOO_LONG', field, what);
  }
}

function checkMessage(message: unknown, field: string): Message {
  if (!isObject(message)) throw inputError('INPUT_TYPE', field, `expected a message, got ${kindOf(message)}`);
  const { role, content } = message;
  if (role !== 'system' && role !== 'user' && role !== 'assistant') {
    throw inputError(
      'INPUT_ROLE',
      `${field}.role`,
      `expected system, user or assistant, got ${kindOf(role)}`,
    );
  }
  if (typeof content === 'string') return { role, content: checkText(content, `${field}.content`) };
  if (!Array.isArray(content)) {
    const what = `expected text or a list of parts, got ${kindOf(content)}`;
    throw inputError('INPUT_TYPE', `${field}.content`, what);
  }
  return { role, content: content.map((part, i) => checkPart(part, `${field}.content[${i}]`)) };
}

function checkPart(part: unknown, field: string): Part {
  if (!isObject(part)) throw inputError('INPUT_TYPE', field, `expected a part, got ${kindOf(part)}`);
  if (part.type === 'text') return { type: 'text', text: checkText(part.text, `${field}.text`) };
  if (part.type === 'image') return checkImagePart(part, field);
  if (part.type === 'video') return checkVideoPart(part, field);
  const what = `expected a part of type 'text', 'image' or 'video', got ${kindOf(part.type)}`;
  throw inputError('INPUT_PART_UNKNOWN', field, what);
}

function checkImagePart(part: Record<string, unknown>, field: string): ImagePart {
  const checked: ImagePart = { type: 'image', image: checkImage(part.image, `${field}.image`) };
  copySizes(part, checked, field);
  const spelling = part.exifOrientation === undefined ? 'exif_orientation' : 'exifOrientation';
  const value = part[spelling] ?? undefined;
  if (value !== undefined) checked.exifOrientation = checkExif(value, `${field}.${spelling}`);
  return checked;
}

function checkVideoPart(part: Record<string, unknown>, field: string): VideoPart {
  const checked: VideoPart = { type: 'video', frames: checkFrames(part.frames, `${field}.frames`) };
  copySizes(part, checked, field);
  const spelling = part.secondsPerGrid === undefined ? 'seconds_per_grid' : 'secondsPerGrid';
  const value = part[spelling] ?? undefined;
  if (value !== undefined) checked.secondsPerGrid = checkSeconds(value, `${field}.${spelling}`);
  return checked;
}

function copySizes(part: Record<string, unknown>, checked: SizeOptions, field: string): void {
  for (const [published, name] of sizeOptions) {
    const spelling = part[name] === undefined ? published : name;
    const value = part[spelling];
    if (value === undefined || value === null) continue;
    checked[name] = checkPixels(value, `${field}.${spelling}`);
  }
}

function checkText(text: unknown, field: string): string {
  if (typeof text !== 'string') throw inputError('INPUT_TYPE', field, `expected text, got ${kindOf(text)}`);
  if (text.length <= messageLimits.text) checkRuns(text, field); // longer text is refused anyway, without this scan
  return text;
}

function checkImage(image: unknown, field: string): ImagePart['image'] {
  if (!Array.isArray(image)) return checkSource(image, field);
  if (image.length === 0) throw inputError('INPUT_EMPTY', field, 'the list of images is empty');
  return image.map((source, i) => checkSource(source, `${field}[${i}]`));
}

function checkFrames(frames: unknown, field: string): readonly ImageSource[] {
  if (!Array.isArray(frames)) {
    throw inputError('INPUT_TYPE', field, `expected a list of pictures, got ${kindOf(frames)}`);
  }
  if (frames.length === 0) throw inputError('INPUT_EMPTY', field, 'the clip has no frames');
  checkFrameCount(frames.length, field); // before copying what may be a list of millions
  return frames.map((source, i) => checkSource(source, `${field}[${i}]`));
}

function checkFrameCount(frames: number, field: string): void {
  if (frames <= messageLimits.frames) return;
  const what = `${frames} frames up to here, the limit is ${messageLimits.frames}`;
  throw inputError('INPUT_TOO_MANY_FRAMES', field, what);
}

/** Checks only the kind of source; loading it checks the rest. */
function checkSource(source: unknown, field: string): ImageSource {
  if (source === '') throw inputError('INPUT_EMPTY', field, 'the path is empty');
  if (typeof source === 'string' || source instanceof Uint8Array) return source;
  if (isObject(source) && 'data' in source) return source as unknown as ImageSource;
  const what = `expected a path, a URL, encoded bytes or { width, height, data }, got ${kindOf(source)}`;
  throw inputError('INPUT_TYPE', field, what);
}

function checkPixels(value: unknown, field: string): number {
  if (typeof value !== 'number')
    throw inputError('INPUT_TYPE', field, `expected a number, got ${kindOf(value)}`);
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw inputError('INPUT_RANGE', field, `expected a positive whole number, got ${value}`);
}

function checkSeconds(value: unknown, field: string): number {
  if (typeof value !== 'number')
    throw inputError('INPUT_TYPE', field, `expected a number, got ${kindOf(value)}`);
  if (value > 0 && value <= messageLimits.secondsPerGrid) return value;
  const what = `expected a number of seconds over 0 and at most ${messageLimits.secondsPerGrid}, got ${value}`;
  throw inputError('INPUT_RANGE', field, what);
}

function checkExif(value: unknown, field: string): ImagePart['exifOrientation'] {
  if (value === 'ignore' || value === 'apply') return value;
  throw inputError('INPUT_RANGE', field, `expected 'ignore' or 'apply', got ${kindOf(value)}`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A value as messages show it: short strings and numbers in full, otherwise only its kind. */
function kindOf(value: unknown): string {
  if (typeof value === 'string')
    return value.length <= 40 ? `'${value}'` : `text of ${value.length} characters`;
  if (typeof value === 'number' || value === null || value === undefined) return String(value);
  return Array.isArray(value) ? 'a list' : `a value of type ${typeof value}`;
}

function inputError(code: ErrorCode, field: string, what: string): InputError {
  return new InputError(code, `${field}: ${what}`, { field });
}
