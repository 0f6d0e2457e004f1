/**
 * Angles, cosines and sines of the rotary embeddings, made on the host.
 *
 * WGSL only promises sin and cos to about 2^-11, and the reference rounds to float32 at two places (the
 * frequency, and frequency times position), which matters at large positions. Both are copied here.
 */
import type { GridThw } from './windows.ts';

/**
 * Frequencies theta^(-2i / dim), i < dim / 2, in float32.
 * @param dim the width that is rotated: headDim of the decoder, headDim / 2 for each vision axis
 * @param theta base of the powers (decoder 1e6 in the 7B, vision 1e4)
 * @returns [dim / 2], radians per position
 *
 * Follows: modeling_rope_utils.py, _compute_default_rope_parameters
 */
export function inverseFrequencies(dim: number, theta: number): Float32Array {
  const frequencies = new Float32Array(Math.ceil(dim / 2));
  for (let i = 0; i < frequencies.length; i++) {
    const exponent = Math.fround((2 * i) / dim);
    const power = Math.fround(theta ** exponent);
    frequencies[i] = 1 / power; // the store rounds to float32
  }
  return frequencies;
}

/**
 * Rotary angles of the vision tower: half the frequencies turn with a patch's row, half with its column.
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
 * @param gridThws one [t, h, w] an image, in patches; rows and columns start again in every frame
 * @returns [patches, headDim / 2], radians, patches of all images in merge order (not yet in window order)
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
  /** [positions, headDim / 2], float32; row r belongs to position firstPosition + r. */
  readonly cos: Float32Array;
  readonly sin: Float32Array;
  readonly firstPosition: number;
}

/**
 * Cosines and sines of the decoder's rotary embedding for a run of positions. All axes share this table: which
 * position a frequency looks up is the business of {@link axisOfFrequency}.
 * @param firstPosition may be negative (video_rope centres an image on its place)
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
 * Which axis of a token's position (0 = t, 1 = row, 2 = col) each frequency turns with.
 *
 * ```
 * mropeSection [4, 6, 6], headDim 32:
 *
 *   frequency   0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15
 *   'sections'  t t t t r r r r r r c  c  c  c  c  c
 *   'swapped'   r c r c r c r c r c r  c  t  t  t  t
 * ```
 *
 * @param mropeSection frequencies of t, row, col; the sum is headDim / 2. Without axes: empty
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
      // QUIRK(swapped-sections): the published code turns to this layout only when its forward makes the positions.
      axes[i] = i < rowCount + colCount ? 1 + (i % 2) : 0;
    }
  }
  return axes;
}
