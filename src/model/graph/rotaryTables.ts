/**
 * Angles, cosines and sines of the rotary embeddings, computed on the host.
 *
 * WGSL guarantees sin and cos only to about 2^-11. The reference rounds to float32 twice (the frequency, and frequency times
 * position), which matters at large positions, so this code rounds at the same two places.
 */
import type { GridThw } from './windows.ts';

/**
 * Frequencies theta^(-2i / dim) for i < dim / 2, in float32.
 *
 * @param dim the rotated width: headDim in the decoder, headDim / 2 for each axis of the vision tower
 * @param theta base of the powers (1e6 in the 7B's decoder, 1e4 in the vision tower)
 * @returns [dim / 2], radians per position
 *
 * Follows: modeling_rope_utils.py, _compute_default_rope_parameters
 */
export function inverseFrequencies(dim: number, theta: number): Float32Array {
  const frequencies = new Float32Array(Math.ceil(dim / 2));
  for (let i = 0; i < frequencies.length; i++) {
    const exponent = Math.fround((2 * i) / dim);
    const power = Math.fround(theta ** exponent);
    frequencies[i] = 1 / power; // rounded to float32 by the assignment
  }
  return frequencies;
}

/**
 * Rotary angles of the vision tower: half of the frequencies are multiplied by a patch's row, half by its column.
 *
 * ```
 * Patches come in merge order, the four of a merged token together. A frame of 2x4 patches:
 *
 *   0 1 │ 4 5      patch 0: row 0, col 0     patch 4: row 0, col 2
 *   2 3 │ 6 7      patch 3: row 1, col 1     patch 6: row 1, col 2
 *
 *   one row of the result: [row·f0 row·f1 … │ col·f0 col·f1 …]      headDim/4 + headDim/4 numbers
 * ```
 *
 * @param gridThws [t, h, w] of each image, in patches; rows and columns start at 0 in every frame
 * @returns [patches, headDim / 2] f32, radians; the patches of all images in merge order (not window order)
 *
 * Follows: qwen2_5_vit.py, rot_pos_emb
 */
export function visionRotaryAngles(
  gridThws: readonly GridThw[],
  { headDim, spatialMergeSize }: { headDim: number; spatialMergeSize: number },
): Float32Array {
  const frequencies = inverseFrequencies(headDim / 2, 10000);
  const perAxis = frequencies.length;
  let patches = 0;
  for (const [t, h, w] of gridThws) patches += t * h * w;

  const angles = new Float32Array(patches * 2 * perAxis);
  let at = 0;
  for (const [frames, rows, cols] of gridThws) {
    for (let t = 0; t < frames; t++) {
      for (let blockRow = 0; blockRow < rows; blockRow += spatialMergeSize) {
        for (let blockCol = 0; blockCol < cols; blockCol += spatialMergeSize) {
          for (let row = blockRow; row < blockRow + spatialMergeSize; row++) {
            for (let col = blockCol; col < blockCol + spatialMergeSize; col++) {
              for (let i = 0; i < perAxis; i++) {
                angles[at + i] = row * frequencies[i];
                angles[at + perAxis + i] = col * frequencies[i];
              }
              at += 2 * perAxis;
            }
          }
        }
      }
    }
  }
  return angles;
}

export interface RotaryTable {
  /** [positions, headDim / 2] f32, like `sin`; row r is for position firstPosition + r. */
  readonly cos: Float32Array;
  readonly sin: Float32Array;
  readonly firstPosition: number;
}

/**
 * Cosines and sines of the decoder's rotary embedding for a range of positions. All axes share this table;
 * {@link axisOfFrequency} says which axis gives the position for a frequency.
 *
 * @param firstPosition may be negative (video_rope centres images on their position)
 * @param lastPosition inclusive
 *
 * Follows: modeling_qwen2_5.py, Qwen2RotaryEmbedding
 */
export function llmRotaryTable(
  firstPosition: number,
  lastPosition: number,
  headDim: number,
  theta: number,
): RotaryTable {
  const frequencies = inverseFrequencies(headDim, theta);
  const perPosition = frequencies.length;
  const positions = lastPosition - firstPosition + 1;
  const cos = new Float32Array(positions * perPosition);
  const sin = new Float32Array(positions * perPosition);
  for (let row = 0; row < positions; row++) {
    for (let i = 0; i < perPosition; i++) {
      const angle = Math.fround((firstPosition + row) * frequencies[i]);
      cos[row * perPosition + i] = Math.cos(angle);
      sin[row * perPosition + i] = Math.sin(angle);
    }
  }
  return { cos, sin, firstPosition };
}

/**
 * The axis of a token's position (0 = t, 1 = row, 2 = col) that each frequency is multiplied by.
 *
 * ```
 * mropeSection [4, 6, 6], headDim 32:
 *
 *   frequency   0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15
 *   'sections'  t t t t r r r r r r c  c  c  c  c  c
 *   'swapped'   r c r c r c r c r c r  c  t  t  t  t
 * ```
 *
 * @param mropeSection number of frequencies for t, row and col, headDim / 2 in all; empty: all for t
 * @param layout 'sections' unless the caller asks for `videoRope: "swapped"`
 * @returns [headDim / 2]
 *
 * Follows: modeling_qwen2_5.py, apply_multimodal_rotary_pos_emb and apply_m_modify_multimodal_rotary_pos_emb
 */
export function axisOfFrequency(
  headDim: number,
  mropeSection: readonly number[],
  layout: 'sections' | 'swapped',
): Uint32Array {
  const [tCount = headDim / 2, rowCount = 0, colCount = 0] = mropeSection;
  const axes = new Uint32Array(headDim / 2);
  for (let i = 0; i < axes.length; i++) {
    if (layout === 'sections') {
      axes[i] = i < tCount ? 0 : i < tCount + rowCount ? 1 : 2;
    } else {
      // QUIRK(swapped-sections): the published code uses this layout only if its forward computes the positions itself.
      axes[i] = i < rowCount + colCount ? 1 + (i % 2) : 0;
    }
  }
  return axes;
}
