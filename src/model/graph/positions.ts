/**
 * The position of every prompt token on the three axes (t, row, col) of the decoder's rotary embedding. Text advances on all
 * three axes at once. The tokens of an image are laid out in rows and columns, those of a clip also in time. In this file an
 * image may also be a clip, whose tokens are image tokens too.
 */
import { InputError } from '../../errors.ts';
import type { GridThw } from './windows.ts';

export interface Positions {
  /** [3, tokens] by axis: t, row, col. May be negative under video_rope. */
  readonly positionIds: Int32Array;
  /** A later token, at cache index p >= tokens, has position p + ropeDelta on all axes. */
  readonly ropeDelta: number;
}

export interface PositionConfig {
  readonly imageStartToken: number;
  readonly imagePatchToken: number;
  /** Patches per merged token along a side. */
  readonly spatialMergeSize: number;
}

/** The grid of an image or a clip, e.g. a PreprocessedImage. */
export interface ImageGrid {
  readonly gridThw: GridThw;
  /** Seconds from one temporal patch to the next, for m_rope. Without it each patch is one step of the t axis. */
  readonly secondsPerGrid?: number;
}

/** `use_llm_3drope` of the config; 'none' is its `false`. */
export type RopeKind = 'm_rope' | 'video_rope' | 'none';

/** Steps of the t axis between two temporal patches under video_rope. */
// QUIRK(float-scale): the published 2.0 makes generate() fail on every image; the integer 2 is meant.
const VIDEO_ROPE_SCALE = 2;
/** Steps of the t axis per second under m_rope: `tokens_per_second` of Qwen2.5-VL. */
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
 *
 * @returns the position of the first text token after the image
 */
type PlaceImage = (
  put: (t: number, row: number, col: number) => void,
  base: number,
  grid: TokenGrid,
) => number;

/**
 * Positions under `m_rope`. An image is a box with its first corner at the position of the next text token. The text after it
 * continues past the longest side of the box.
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
 * In a clip each temporal patch is one step of t after the previous one, or as many steps as its seconds give:
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
 * @param images grid of each image, in patches; empty for text
 * @param quirks 'reference': one grid is used for each `<image>` directly followed by `<imagePatch>`, which is a single one in
 *   the published expansion of several images; 'fixed': every image must be found, with as many tokens as its grid
 * @throws InputError INPUT_IMAGE_COUNT if the prompt's image tokens do not match the grids
 *
 * Follows: modeling_qwen2_5.py, get_rope_index; for seconds transformers 4.49, modeling_qwen2_5_vl.py, get_rope_index
 */
export function mRopePositions(
  inputIds: ArrayLike<number>,
  images: readonly ImageGrid[],
  config: PositionConfig,
  quirks: 'reference' | 'fixed',
): Positions {
  const positionIds = placeTokens(inputIds, images, config, quirks, (put, base, grid) => {
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

/** Steps of the t axis from the beginning of a clip to one of its temporal patches, under m_rope. */
function stepsUntil(frame: number, secondsPerGrid: number | undefined): number {
  if (secondsPerGrid === undefined) return frame;
  // Like torch, round the product to float32 before truncating it: 5 · 0.7 s are 7 steps, not 6.
  return Math.floor(Math.fround(frame * Math.fround(secondsPerGrid)) * STEPS_PER_SECOND);
}

/**
 * Positions under `video_rope`. An image takes one step of t, plus two for each further frame. Its rows and columns are centred
 * on that step, so they may be smaller than t, and negative.
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
 * Parameters and errors as {@link mRopePositions}; `secondsPerGrid` is not used.
 *
 * Follows: modeling_qwen2_5.py, get_t_scale_rope_index
 */
export function videoRopePositions(
  inputIds: ArrayLike<number>,
  images: readonly ImageGrid[],
  config: PositionConfig,
  quirks: 'reference' | 'fixed',
): Positions {
  const positionIds = placeTokens(inputIds, images, config, quirks, (put, base, grid) => {
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
 * Positions without images: 0, 1, 2, … on all axes. With `use_llm_3drope: false` image tokens get these too.
 *
 * @returns positionIds [3, tokens], and ropeDelta 0
 *
 * Follows: modeling_qwen2_5.py, get_llm_rope_index
 */
export function textPositions(tokens: number): Positions {
  const positionIds = new Int32Array(3 * tokens);
  for (let i = 0; i < positionIds.length; i++) positionIds[i] = i % tokens;
  return { positionIds, ropeDelta: 0 };
}

/**
 * Positions according to the config's `use_llm_3drope`: {@link mRopePositions}, {@link videoRopePositions} or
 * {@link textPositions}, with their parameters and errors.
 *
 * @returns positionIds [3, tokens] i32, and ropeDelta
 */
export function positionsFor(
  rope: RopeKind,
  inputIds: ArrayLike<number>,
  images: readonly ImageGrid[],
  config: PositionConfig,
  quirks: 'reference' | 'fixed',
): Positions {
  if (rope === 'none') return textPositions(inputIds.length);
  const place = rope === 'm_rope' ? mRopePositions : videoRopePositions;
  return place(inputIds, images, config, quirks);
}

/** Walks over text, image, text, …, as both layouts do; only `placeImage` differs. @returns [3, tokens] */
function placeTokens(
  inputIds: ArrayLike<number>,
  images: readonly ImageGrid[],
  { imageStartToken, imagePatchToken, spatialMergeSize }: PositionConfig,
  quirks: 'reference' | 'fixed',
  placeImage: PlaceImage,
): Int32Array {
  const tokens = inputIds.length;
  const ids = Array.from(inputIds);
  const positionIds = new Int32Array(3 * tokens);
  let at = 0; // the next token to place
  const put = (t: number, row: number, col: number) => {
    if (at >= tokens) throw imageCountError(`an image's tokens run past the prompt's ${tokens} tokens`);
    positionIds[at] = t;
    positionIds[tokens + at] = row;
    positionIds[2 * tokens + at] = col;
    at++;
  };

  const marked = images.length === 0 ? 0 : countImages(ids, imageStartToken, imagePatchToken);
  if (marked > images.length || (quirks === 'fixed' && marked < images.length)) {
    throw imageCountError(`the prompt marks ${marked} images, ${images.length} were given`);
  }
  let next = 0;
  // QUIRK(first-grid): the published expansion of several images leaves only one recognisable start. So the patches there get
  // the grid of the first image, and all further image tokens count on like text.
  for (const { gridThw, secondsPerGrid } of images.slice(0, marked)) {
    const [t, h, w] = gridThw;
    const grid = { frames: t, rows: h / spatialMergeSize, cols: w / spatialMergeSize, secondsPerGrid };
    const imageAt = ids.indexOf(imagePatchToken, at);
    if (imageAt < 0) throw imageCountError('an image has no <imagePatch> tokens left');
    if (quirks === 'fixed') checkRun(ids, imageAt, imagePatchToken, grid);
    for (; at < imageAt; next++) put(next, next, next);
    next = placeImage(put, next, grid);
  }
  for (; at < tokens; next++) put(next, next, next);
  return positionIds;
}

/** Counts the images: each `<image>` directly followed by `<imagePatch>` is one. */
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
      `the image at token ${start} has ${end - start} <imagePatch>, its grid has ${expected}`,
    );
  }
}

function imageCountError(what: string): InputError {
  return new InputError('INPUT_IMAGE_COUNT', `prompt and images do not match: ${what}`, {
    hint: 'special tokens written in a message count too: remove <image> and <imagePatch> from its text',
  });
}

/** @returns the largest element, or -1 if there is none (Math.max(...) would overflow the stack on long prompts) */
function largest(values: Int32Array): number {
  let max = -1;
  for (const value of values) if (value > max) max = value;
  return max;
}
