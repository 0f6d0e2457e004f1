/** From the frames of a clip to patches. The published processor fails on every clip; this code does what it intends. */
import { ImageError, InputError } from '../errors.ts';
import { type ImageSource, loadImage } from './image/imageSource.ts';
import {
  extractPatches,
  FETCH_LIMITS,
  fetchSize,
  type ImageProcessorConfig,
  type PreprocessedImage,
  type ResizedImage,
  type ResizeOptions,
  resizeTwice,
} from './patches.ts';
import type { ImageSize, PixelLimits } from './resize.ts';

export interface FrameOptions extends ResizeOptions {
  readonly secondsPerGrid?: number;
}

const FRAME_LIMITS: PixelLimits = { minPixels: 128 * 28 * 28, maxPixels: 768 * 28 * 28 };
/** Pixels of a clip, counting one frame per temporal patch. */
const TOTAL_PIXELS = 7680 * 28 * 28;
/** Pixels of all frames after the resize. The default limits stay below this, the options of a message part may not. */
const MAX_CLIP_PIXELS = 100e6;

/**
 * Loads the frames of a clip, resizes all to the same size and cuts them into patches, two frames per temporal patch.
 *
 * ```
 * frames       A B C          the last one is repeated if it has no partner
 * pairs        AB CC          t = 2; a still picture is one pair of twice the same frame
 * ```
 *
 * @param frames at least one, all of the same size; they are decoded one at a time
 * @param field argument path for messages, e.g. `messages[0].content[1].frames`
 * @param options of the message part; the limits apply to each frame
 * @returns `pixelValues` [t * h * w, 1176] f32 and its grid, t = ⌈frames / 2⌉
 * @throws InputError INPUT_FRAME_SIZE (a frame differs in size from the first), INPUT_RANGE (contradicting limits, or only one of
 *   resizedHeight and resizedWidth), INPUT_TYPE, INPUT_LENGTH (pixels)
 * @throws ImageError IMAGE_TOO_LARGE (over 100 M pixels after the resize), and as `loadImage` and `preprocessImage`
 * @throws the signal's reason
 *
 * Follows: qwen-vl-utils, vision_process.py, fetch_video (sizes); transformers 4.49, Qwen2VLImageProcessor._preprocess
 */
export async function preprocessFrames(
  frames: readonly ImageSource[],
  field: string,
  options: FrameOptions,
  config: ImageProcessorConfig,
  signal?: AbortSignal,
): Promise<PreprocessedImage> {
  let clip: ClipSize | undefined;
  const pictures: ResizedImage[] = [];
  for (const [i, source] of frames.entries()) {
    signal?.throwIfAborted();
    const frame = await loadImage(source, `${field}[${i}]`);
    clip ??= clipSize(frame, frame.name, frames.length, options, config);
    checkSameSize(frame, clip.frame, frame.name);
    pictures.push(resizeTwice(frame, clip.resized, config, frame.name));
  }
  const inPairs = pictures.map(({ processed }) => processed);
  while (inPairs.length % config.temporalPatchSize !== 0) inPairs.push(inPairs[inPairs.length - 1]);
  return { ...extractPatches(inPairs, config), ...pictures[0], secondsPerGrid: options.secondsPerGrid };
}

/** The size of every frame, before and after the first resize. */
interface ClipSize {
  readonly frame: ImageSize;
  readonly resized: ImageSize;
}

function clipSize(
  { height, width }: ImageSize,
  name: string,
  frames: number,
  options: ResizeOptions,
  { temporalPatchSize }: ImageProcessorConfig,
): ClipSize {
  const limits = frameLimits(Math.ceil(frames / temporalPatchSize), options);
  const resized = fetchSize({ height, width }, { ...options, ...limits }, name);
  if (resized.height * resized.width * frames > MAX_CLIP_PIXELS) {
    const what = `${frames} frames of ${resized.width} x ${resized.height} pixels are over ${MAX_CLIP_PIXELS}`;
    throw new ImageError('IMAGE_TOO_LARGE', `${name}: ${what}`, { hint: 'give fewer or smaller frames' });
  }
  return { frame: { height, width }, resized };
}

/** @param steps number of temporal patches */
function frameLimits(steps: number, { minPixels: least, maxPixels: most }: ResizeOptions): PixelLimits {
  // A maxPixels below the usual minimum is honoured, with a lower minimum.
  const usual = most !== undefined && most < FRAME_LIMITS.minPixels ? FETCH_LIMITS : FRAME_LIMITS;
  const minPixels = least ?? usual.minPixels;
  // A long clip may exceed the total, but a frame is never below the minimum. The 5 % allow for rounding to multiples of 28.
  const share = Math.min(FRAME_LIMITS.maxPixels, Math.floor(TOTAL_PIXELS / steps));
  const limit = Math.max(share, Math.floor(minPixels * 1.05));
  return { minPixels, maxPixels: Math.min(most ?? limit, limit) };
}

function checkSameSize(frame: ImageSize, first: ImageSize, name: string): void {
  if (frame.width === first.width && frame.height === first.height) return;
  const sizes = `${frame.width} x ${frame.height} pixels, but the clip's first frame has ${first.width} x ${first.height}`;
  throw new InputError('INPUT_FRAME_SIZE', `${name}: ${sizes}`, {
    field: name,
    expected: first,
    actual: { height: frame.height, width: frame.width },
    hint: 'scale all frames to the same size first',
  });
}
