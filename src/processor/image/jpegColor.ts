/** The last steps of JPEG decoding in integer arithmetic, like libjpeg-turbo: chroma upsampling, and YCbCr to RGB. */

export interface Plane {
  readonly width: number;
  readonly height: number;
  /** [height, width] */
  readonly samples: Uint8Array;
}

export interface Upsampling {
  /** Size of the picture; an upsampled plane may be one column or row larger. */
  readonly width: number;
  readonly height: number;
  /** Picture columns and rows per sample: 1, 2 or 4. */
  readonly horizontal: number;
  readonly vertical: number;
}

/**
 * Upsamples a plane to the picture's size. libjpeg-turbo interpolates ("fancy upsampling") for a factor of 2, and repeats samples
 * for other factors and for planes of at most two columns.
 *
 * @returns [height, width] uint8
 *
 * Follows: libjpeg-turbo, jdsample.c, jinit_upsampler
 */
export function upsample(plane: Plane, target: Upsampling): Uint8Array {
  const { horizontal, vertical } = target;
  if (horizontal === 1 && vertical === 1) return plane.samples;
  const doublesRows = horizontal === 1 && vertical === 2;
  const doublesColumns = horizontal === 2 && vertical <= 2 && plane.width > 2;
  return doublesRows || doublesColumns ? interpolate(plane, target) : repeat(plane, target);
}

function repeat(plane: Plane, { width, height, horizontal, vertical }: Upsampling): Uint8Array {
  const out = new Uint8Array(height * width);
  for (let y = 0; y < height; y++) {
    const row = Math.floor(y / vertical) * plane.width;
    for (let x = 0; x < width; x++) out[y * width + x] = plane.samples[row + Math.floor(x / horizontal)];
  }
  return out;
}

/**
 * The triangle filter: in each doubled direction a new sample is 3/4 of the nearest old one plus 1/4 of the next nearest. Edges
 * are repeated. The rounding constant alternates, so that halves are rounded up on one side of a sample and down on the other.
 */
function interpolate(plane: Plane, { width, height, horizontal, vertical }: Upsampling): Uint8Array {
  const out = new Uint8Array(height * width);
  const { samples } = plane;
  const columnSums = new Uint16Array(plane.width); // a sample, or 3 x nearest row + 1 x next nearest row
  for (let y = 0; y < height; y++) {
    const row = Math.floor(y / vertical);
    const isUpper = y % vertical === 0;
    const nextRow = Math.min(Math.max(isUpper ? row - 1 : row + 1, 0), plane.height - 1);
    for (let x = 0; x < plane.width; x++) {
      const near = samples[row * plane.width + x];
      columnSums[x] = vertical === 1 ? near : 3 * near + samples[nextRow * plane.width + x];
    }

    if (horizontal === 1) {
      for (let x = 0; x < width; x++) out[y * width + x] = (columnSums[x] + (isUpper ? 1 : 2)) >> 2;
      continue;
    }
    const [roundLeft, roundRight, shift] = vertical === 1 ? [1, 2, 2] : [8, 7, 4];
    for (let x = 0; x < width; x++) {
      const column = x >> 1;
      const isLeft = x % 2 === 0;
      const nextColumn = Math.min(Math.max(isLeft ? column - 1 : column + 1, 0), plane.width - 1);
      const sum = 3 * columnSums[column] + columnSums[nextColumn] + (isLeft ? roundLeft : roundRight);
      out[y * width + x] = sum >> shift;
    }
  }
  return out;
}

/** A factor in 16-bit fixed point. */
const fixed = (factor: number) => Math.round(factor * 65_536);
const HALF = 32_768;
const CR_TO_RED = fixed(1.402);
const CR_TO_GREEN = fixed(0.71414);
const CB_TO_GREEN = fixed(0.34414);
const CB_TO_BLUE = fixed(1.772);

/**
 * Full-range BT.601 YCbCr to RGB with 16-bit fixed-point factors.
 *
 * @param luma, blue, red planes Y, Cb, Cr, [pixels] uint8 each
 * @param out RGB, [pixels, 3] uint8, written
 *
 * Follows: libjpeg-turbo, jdcolor.c, build_ycc_rgb_table and ycc_rgb_convert
 */
export function yccToRgb(luma: Uint8Array, blue: Uint8Array, red: Uint8Array, out: Uint8Array): void {
  const clamped = new Uint8ClampedArray(out.buffer, out.byteOffset, out.byteLength);
  for (let i = 0; i < luma.length; i++) {
    const y = luma[i];
    const cb = blue[i] - 128;
    const cr = red[i] - 128;
    clamped[i * 3] = y + ((CR_TO_RED * cr + HALF) >> 16);
    clamped[i * 3 + 1] = y + ((-CB_TO_GREEN * cb - CR_TO_GREEN * cr + HALF) >> 16);
    clamped[i * 3 + 2] = y + ((CB_TO_BLUE * cb + HALF) >> 16);
  }
}
