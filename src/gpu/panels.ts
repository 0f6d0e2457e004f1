/** Weights in panels: eight rows of a matrix interleaved, so that eight weights of one column are adjacent in memory. */

export const PANEL_ROWS = 8;

/** The number of rows in memory: the last panel is padded with zero rows. */
export function paddedRows(rows: number): number {
  return Math.ceil(rows / PANEL_ROWS) * PANEL_ROWS;
}

/**
 * Interleaves rows in the order that kernels/shared/readPanel.wgsl reads.
 *
 * ```
 *   rows r0 … r7 of inDim values      16 bit, for each k:  r0 r4  r1 r5  r2 r6  r3 r7      one word each: (rj, rj+4)
 *                                     f32, for each k:     r0 r1 r2 r3   r4 r5 r6 r7       one vec4 each
 * ```
 *
 * @param rows [n, inDim], row-major: f32, or the bits of bf16 or f16
 * @param target paddedRows(n) * inDim values, all of them written
 */
export function packPanels<T extends Float32Array | Uint16Array>(rows: T, inDim: number, target: T): void {
  const whole = rows.length - (rows.length % (PANEL_ROWS * inDim));
  // One loop for each type: a loop for both types takes twice as long.
  if (rows instanceof Uint16Array) packHalves(rows.subarray(0, whole), inDim, target as Uint16Array);
  else packFloats(rows.subarray(0, whole), inDim, target as Float32Array);
  if (whole === rows.length) return;
  const last = target.slice(whole).fill(0); // the last panel ends in zero rows
  last.set(rows.subarray(whole));
  packPanels(last, inDim, target.subarray(whole));
}

function packHalves(rows: Uint16Array, inDim: number, target: Uint16Array): void {
  for (let panel = 0; panel < rows.length; panel += PANEL_ROWS * inDim) {
    let to = panel;
    for (let k = panel; k < panel + inDim; k++, to += PANEL_ROWS) {
      target[to] = rows[k];
      target[to + 1] = rows[k + 4 * inDim];
      target[to + 2] = rows[k + inDim];
      target[to + 3] = rows[k + 5 * inDim];
      target[to + 4] = rows[k + 2 * inDim];
      target[to + 5] = rows[k + 6 * inDim];
      target[to + 6] = rows[k + 3 * inDim];
      target[to + 7] = rows[k + 7 * inDim];
    }
  }
}

function packFloats(rows: Float32Array, inDim: number, target: Float32Array): void {
  for (let panel = 0; panel < rows.length; panel += PANEL_ROWS * inDim) {
    let to = panel;
    for (let k = panel; k < panel + inDim; k++) {
      for (let row = 0; row < PANEL_ROWS; row++) target[to++] = rows[k + row * inDim];
    }
  }
}

/** Packs a whole matrix [rows, inDim]. @returns paddedRows(rows) * inDim values, as `packPanels` */
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
