/** Weights in panels: eight rows of a matrix interleaved, so that one load brings eight weights of a column. */

export const PANEL_ROWS = 8;

/** Rows that a tensor in panels takes in memory: the last panel is filled up with zeros. */
export function paddedRows(rows: number): number {
  return Math.ceil(rows / PANEL_ROWS) * PANEL_ROWS;
}

/**
 * Interleaves rows as kernels/shared/readPanel.wgsl reads them.
 *
 * ```
 *   rows r0 … r7 of inDim values      16 bit, for each k:  r0 r4  r1 r5  r2 r6  r3 r7      a word is (rj, rj+4)
 *                                     f32, for each k:     r0 r1 r2 r3   r4 r5 r6 r7       a vec4 each
 * ```
 *
 * @param rows [n, inDim], as stored
 * @param target [paddedRows(n), inDim] values; everything is written
 */
export function packPanels<T extends Float32Array | Uint16Array>(rows: T, inDim: number, target: T): void {
  const count = rows.length / inDim;
  const is16Bit = rows instanceof Uint16Array;
  for (let row = 0; row < paddedRows(count); row++) {
    const inPanel = row % PANEL_ROWS;
    const place = is16Bit ? 2 * (inPanel % 4) + (inPanel >> 2) : inPanel;
    let to = (row - inPanel) * inDim + place;
    let from = row * inDim;
    if (row < count) for (let k = 0; k < inDim; k++, to += PANEL_ROWS) target[to] = rows[from++];
    else for (let k = 0; k < inDim; k++, to += PANEL_ROWS) target[to] = 0;
  }
}

/** A whole matrix [rows, inDim], packed. */
export function packedPanels(rows: Float32Array | Uint16Array, inDim: number): Float32Array | Uint16Array {
  const length = paddedRows(rows.length / inDim) * inDim;
  if (rows instanceof Float32Array) {
    const target = new Float32Array(length);
    packPanels(rows, inDim, target);
    return target;
  }
  const target = new Uint16Array(length);
  packPanels(rows, inDim, target);
  return target;
}
