/**
 * The window order of the vision tower: its merged tokens, sorted window by window.
 *
 * Units: a patch is 14x14 pixels; a merged token is 2x2 patches; a window is 4x4 merged tokens (112 pixels).
 */

/** An image's (or a clip's) patch grid: temporal patches, patch rows, patch columns. */
export type GridThw = readonly [t: number, h: number, w: number];

export interface WindowSizes {
  /** Side of a window in pixels (112). */
  readonly windowSize: number;
  /** Side of a patch in pixels (14). */
  readonly patchSize: number;
  /** Patches per merged token along a side (2). */
  readonly spatialMergeSize: number;
}

export interface Windows {
  /** [merged] raster index of each token in window order. */
  readonly windowIndex: Uint32Array;
  /** [windows + 1] window boundaries in patches, with a repeated boundary for each empty window. */
  readonly cuWindowSeqlensRaw: Uint32Array;
  /** The same without empty windows, for window attention. */
  readonly cuWindowSeqlens: Uint32Array;
  /** [frames + 1] frame boundaries in patches, for full attention. */
  readonly cuSeqlens: Uint32Array;
}

/**
 * Cuts every frame into windows and lists its tokens window by window.
 *
 * ```
 * A 6x10 grid of merged tokens, windows of 4x4; the edge windows are smaller. Window order: A B C D E F.
 *
 *        4 columns   4     2
 *       ┌─────────┬─────────┬────┐
 *  4    │ A A A A │ B B B B │ C C│     cuWindowSeqlens, in patches (4 a token):
 *  rows │ A A A A │ B B B B │ C C│       0, 64, 128, 160, 192, 224, 240
 *       │ A A A A │ B B B B │ C C│
 *       │ A A A A │ B B B B │ C C│     windowIndex starts 0 1 2 3 10 11 12 13 20 …:
 *       ├─────────┼─────────┼────┤       the first row of A, then its second, …
 *  2    │ D D D D │ E E E E │ F F│
 *       │ D D D D │ E E E E │ F F│
 *       └─────────┴─────────┴────┘
 * ```
 *
 * @param gridThws [t, h, w] of each image, in patches; h and w are multiples of `spatialMergeSize`
 * @returns indices in merged tokens and boundaries in patches, counted over all images
 *
 * Follows: qwen2_5_vit.py, get_window_index
 */
export function windowLayout(gridThws: readonly GridThw[], sizes: WindowSizes): Windows {
  const { spatialMergeSize } = sizes;
  const windowSide = Math.floor(sizes.windowSize / spatialMergeSize / sizes.patchSize); // merged tokens
  const patchesPerToken = spatialMergeSize * spatialMergeSize;

  const windowIndex: number[] = [];
  const rawBoundaries = [0];
  const frameBoundaries = [0];
  let imageStart = 0; // raster index of the image's first token
  for (const [frames, patchRows, patchCols] of gridThws) {
    const rows = patchRows / spatialMergeSize;
    const cols = patchCols / spatialMergeSize;
    // QUIRK(extra-window): a side that is a multiple of the window still gets one more, empty window.
    const windowRows = Math.floor(rows / windowSide) + 1;
    const windowCols = Math.floor(cols / windowSide) + 1;
    for (let t = 0; t < frames; t++) {
      for (let windowRow = 0; windowRow < windowRows; windowRow++) {
        for (let windowCol = 0; windowCol < windowCols; windowCol++) {
          const rowEnd = Math.min((windowRow + 1) * windowSide, rows);
          const colEnd = Math.min((windowCol + 1) * windowSide, cols);
          for (let row = windowRow * windowSide; row < rowEnd; row++) {
            for (let col = windowCol * windowSide; col < colEnd; col++) {
              windowIndex.push(imageStart + (t * rows + row) * cols + col);
            }
          }
          rawBoundaries.push(windowIndex.length * patchesPerToken);
        }
      }
      frameBoundaries.push(windowIndex.length * patchesPerToken);
    }
    imageStart += frames * rows * cols;
  }

  return {
    windowIndex: Uint32Array.from(windowIndex),
    cuWindowSeqlensRaw: Uint32Array.from(rawBoundaries),
    cuWindowSeqlens: Uint32Array.from(
      rawBoundaries.filter((end, i) => i === 0 || end !== rawBoundaries[i - 1]),
    ),
    cuSeqlens: Uint32Array.from(frameBoundaries),
  };
}

/** The inverse permutation: `inverse[permutation[place]] = place`. It turns window order back into raster order. */
export function inversePermutation(permutation: Uint32Array): Uint32Array {
  const inverse = new Uint32Array(permutation.length);
  for (let place = 0; place < permutation.length; place++) inverse[permutation[place]] = place;
  return inverse;
}
