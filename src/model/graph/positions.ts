/**
 * Where every token of a prompt stands on the three axes (t, row, col) that the decoder's rotary embedding turns
 * with. Text moves along all three at once; the tokens of an image are spread out as their picture is, those of a clip
 * also in time. A clip's tokens are image tokens; where this file says image, a clip is one too.
 */
import { InputError } from '../../errors.ts';
import type { GridThw } from './windows.ts';

export interface Positions {
  /** [3, tokens] axes t, row, col; may be negative under video_rope. */
  readonly positionIds: Int32Array;
  /** The token at cache index p, p >= tokens, stands at p + ropeDelta on all axes. */
  readonly ropeDelta: number;
}

export interface PositionConfig {
  readonly imageStartToken: number;
  readonly imagePatchToken: number;
  /** Patches per merged token along a side. */
  readonly spatialMergeSize: number;
}

/** What a picture or a clip takes up; a PreprocessedImage is one. */
export interface ImageGrid {
  readonly gridThw: GridThw;
  /** Seconds from one temporal patch to the next; without them, each is one step of the t axis under m_rope. */
  readonly secondsPerGrid?: number;
}

/** `use_llm_3drope` of the config; 'none' is its `false`. */
export type RopeKind = 'm_rope' | 'video_rope' | 'none';

/** Steps of the t axis between two temporal patches under video_rope. */
// QUIRK(float-scale): published as 2.0, which makes generate() fail on every image; the integer is what it means.
const VIDEO_ROPE_SCALE = 2;
/** Steps of the t axis in a second under m_rope: `tokens_per_second` of Qwen2.5-VL. */
const STEPS_PER_SECOND = 2;

/** A grid in merged tokens. */
interface TokenGrid {
  /** Temporal patches. */
  readonly frames: number;
  readonly rows: number;
  readonly cols: number;
  readonly secondsPerGrid?: number;
}

/**
 * Calls `put` once for each token of an image, in prompt order.
 * @returns the position at which the text after the image goes on
 */
type PlaceImage = (
  put: (t: number, row: number, col: number) => void,
  base: number,
  grid: TokenGrid,
) => number;

/**
 * Positions under `m_rope`: an image is a box whose corner stands where the next text token would have stood, and
 * the text after it goes on behind the furthest side of the box.
 *
 * ```
 * 3 text tokens, an image of 2x2 merged tokens, 2 text tokens:
 *
 *         a   b <img>  p00 p01 p10 p11  </i>  c
 *   t     0   1   2     3   3   3   3    5    6
 *   row   0   1   2     3   3   4   4    5    6      ropeDelta = 6 + 1 - 9 = -2
 *   col   0   1   2     3   4   3   4    5    6
 * ```
 *
 * The further temporal patches of a clip stand one step of t behind each other, or as many as their seconds make:
 *
 * ```
 * 1 text token, a clip of 3x1x1 merged tokens, 1 text token:
 *
 *                           a <img>  p0  p1  p2  </i>
 *   t                       0   1    2   3   4    5
 *   t, secondsPerGrid 2     0   1    2   6  10   11
 *   row, col                0   1    2   2   2   as t
 * ```
 *
 * @param inputIds [tokens] ids of the expanded prompt
 * @param images grid of each image, in patches; none for text
 * @param quirks 'reference': as many grids are used as `<image>` is directly followed by `<imagePatch>`, so one for
 *   the published expansion of several images; 'fixed': every image must be found, with the length of its own grid
 * @param attentionMask [tokens] 0 marks padding, which gets position 1 and takes up no place; default: none
 * @throws InputError INPUT_IMAGE_COUNT: the image tokens of the prompt are not those of the grids
 *
 * Follows: modeling_qwen2_5.py, get_rope_index; for seconds transformers 4.49, modeling_qwen2_5_vl.py, get_rope_index
 */
export function mRopePositions(
  inputIds: ArrayLike<number>,
  images: readonly ImageGrid[],
  config: PositionConfig,
  quirks: 'reference' | 'fixed',
  attentionMask?: ArrayLike<number>,
): Positions {
  const positionIds = placeTokens(inputIds, images, config, quirks, attentionMask, (put, base, grid) => {
    for (let frame = 0; frame < grid.frames; frame++) {
      const t = base + stepsUntil(frame, grid.secondsPerGrid);
      for (let row = 0; row < grid.rows; row++) {
        for (let col = 0; col < grid.cols; col++) put(t, base + row, base + col);
      }
    }
    const lastStep = stepsUntil(grid.frames - 1, grid.secondsPerGrid);
    return base + Math.max(lastStep + 1, grid.rows, grid.cols);
  });
  return { positionIds, ropeDelta: largest(positionIds) + 1 - inputIds.length };
}

/** Steps of the t axis from a clip's beginning to one of its temporal patches, under m_rope. */
function stepsUntil(frame: number, secondsPerGrid: number | undefined): number {
  if (secondsPerGrid === undefined) return frame;
  // The product is rounded to float32 before it is cut to an integer, as torch does: 5 x 0.7 s make 7 steps, not 6.
  return Math.floor(Math.fround(frame * Math.fround(secondsPerGrid)) * STEPS_PER_SECOND);
}

/**
 * Positions under `video_rope`: an image takes one step of time, two per further frame, and its picture is centred
 * on that step, so that rows and columns may fall below it (and below zero).
 *
 * ```
 * 2 text tokens, an image of 1x4 merged tokens, 1 text token:
 *
 *         a <img>  p0  p1  p2  p3  </i>
 *   t     0   1    2   2   2   2    3
 *   row   0   1    2   2   2   2    3      ropeDelta = 3 + 1 - 7 = -3
 *   col   0   1    1   2   3   4    3
 * ```
 *
 * Parameters and errors are those of {@link mRopePositions}; seconds are not looked at, as this rule has no use for them.
 *
 * Follows: modeling_qwen2_5.py, get_t_scale_rope_index
 */
export function videoRopePositions(
  inputIds: ArrayLike<number>,
  images: readonly ImageGrid[],
  config: PositionConfig,
  quirks: 'reference' | 'fixed',
  attentionMask?: ArrayLike<number>,
): Positions {
  const positionIds = placeTokens(inputIds, images, config, quirks, attentionMask, (put, base, grid) => {
    const middleRow = Math.floor((grid.rows - 1) / 2);
    const middleCol = Math.floor((grid.cols - 1) / 2);
    for (let frame = 0; frame < grid.frames; frame++) {
      const t = base + VIDEO_ROPE_SCALE * frame;
      for (let row = 0; row < grid.rows; row++) {
        for (let col = 0; col < grid.cols; col++) put(t, t + row - middleRow, t + col - middleCol);
      }
    }
    return base + VIDEO_ROPE_SCALE * (grid.frames - 1) + 1;
  });
  const tAxis = positionIds.subarray(0, inputIds.length);
  return { positionIds, ropeDelta: largest(tAxis) + 1 - inputIds.length };
}

/**
 * Positions without images: 0, 1, 2, … on all axes. It is also what `use_llm_3drope: false` gives to image tokens.
 * @param attentionMask [tokens] 0 marks padding, which gets position 1 and takes up no place; default: none
 *
 * Follows: modeling_qwen2_5.py, get_llm_rope_index
 */
export function textPositions(tokens: number, attentionMask?: ArrayLike<number>): Positions {
  const positionIds = new Int32Array(3 * tokens);
  let next = 0;
  for (let i = 0; i < tokens; i++) {
    const position = attentionMask && attentionMask[i] === 0 ? 1 : next++;
    for (let axis = 0; axis < 3; axis++) positionIds[axis * tokens + i] = position;
  }
  return { positionIds, ropeDelta: largest(positionIds) + 1 - tokens };
}

/** Positions as the config's `use_llm_3drope` asks for; see the three functions above. */
export function positionsFor(
  rope: RopeKind,
  inputIds: ArrayLike<number>,
  images: readonly ImageGrid[],
  config: PositionConfig,
  quirks: 'reference' | 'fixed',
  attentionMask?: ArrayLike<number>,
): Positions {
  if (rope === 'none') return textPositions(inputIds.length, attentionMask);
  const place = rope === 'm_rope' ? mRopePositions : videoRopePositions;
  return place(inputIds, images, config, quirks, attentionMask);
}

/** The walk that both image layouts share: text, image, text, …; only `placeImage` differs. */
function placeTokens(
  inputIds: ArrayLike<number>,
  images: readonly ImageGrid[],
  { imageStartToken, imagePatchToken, spatialMergeSize }: PositionConfig,
  quirks: 'reference' | 'fixed',
  attentionMask: ArrayLike<number> | undefined,
  placeImage: PlaceImage,
): Int32Array {
  const tokens = inputIds.length;
  const kept: number[] = []; // places of the tokens that are not masked
  for (let i = 0; i < tokens; i++) if (attentionMask?.[i] !== 0) kept.push(i);
  const keptIds = kept.map((place) => inputIds[place]);

  const positionIds = new Int32Array(3 * tokens).fill(1); // padding keeps the 1
  let at = 0; // index into `kept` of the token that is placed next
  const put = (t: number, row: number, col: number) => {
    if (at >= kept.length) throw imageCountError(`an image's tokens run past the prompt's ${tokens} tokens`);
    const place = kept[at++];
    positionIds[place] = t;
    positionIds[tokens + place] = row;
    positionIds[2 * tokens + place] = col;
  };

  const marked = images.length === 0 ? 0 : countImages(keptIds, imageStartToken, imagePatchToken);
  if (marked > images.length || (quirks === 'fixed' && marked < images.length)) {
    throw imageCountError(`the prompt marks ${marked} images, ${images.length} were given`);
  }
  let next = 0;
  // QUIRK(first-grid): the published expansion of several images leaves one recognisable start, so the first image's
  // grid is laid over the patches that stand there and the rest counts up as text.
  for (const { gridThw, secondsPerGrid } of images.slice(0, marked)) {
    const [t, h, w] = gridThw;
    const grid = { frames: t, rows: h / spatialMergeSize, cols: w / spatialMergeSize, secondsPerGrid };
    const imageAt = keptIds.indexOf(imagePatchToken, at);
    if (imageAt < 0) throw imageCountError('an image has no <imagePatch> tokens left');
    if (quirks === 'fixed') checkRun(keptIds, imageAt, imagePatchToken, grid);
    for (; at < imageAt; next++) put(next, next, next);
    next = placeImage(put, next, grid);
  }
  for (; at < kept.length; next++) put(next, next, next);
  return positionIds;
}

/** An image is where `<image>` is directly followed by `<imagePatch>`. */
function countImages(ids: readonly number[], imageStartToken: number, imagePatchToken: number): number {
  let images = 0;
  for (let i = 0; i + 1 < ids.length; i++) {
    if (ids[i] === imageStartToken && ids[i + 1] === imagePatchToken) images++;
  }
  return images;
}

function checkRun(ids: readonly number[], start: number, imagePatchToken: number, grid: TokenGrid): void {
  let end = start;
  while (end < ids.length && ids[end] === imagePatchToken) end++;
  const expected = grid.frames * grid.rows * grid.cols;
  if (end - start !== expected) {
    throw imageCountError(
      `the image at token ${start} has ${end - start} <imagePatch>, its grid ${expected}`,
    );
  }
}

function imageCountError(what: string): InputError {
  return new InputError('INPUT_IMAGE_COUNT', `prompt and images do not fit: ${what}`, {
    hint: 'special tokens written into a message count too; take <image> and <imagePatch> out of its text',
  });
}

/** @returns the largest element, -1 when there is none; Math.max(...) would overflow the stack on long prompts */
function largest(values: Int32Array): number {
  let max = -1;
  for (const value of values) if (value > max) max = value;
  return max;
}
