/** A full check of the stored weights, for checkpoints that came over a network or out of a conversion. */
import { CheckpointError } from '../../errors.ts';
import { type Checkpoint, PIECE_BYTES, type WeightEntry } from './checkpoint.ts';
import { WEIGHT_BYTES } from './safetensors.ts';

export interface VerifyProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/**
 * Reads every weight of the model, in pieces of 4 MiB at most. Loading does not do this: it costs a read of the
 * whole checkpoint.
 *
 * @param options.onProgress called after each piece
 * @returns warnings: weights that are zero throughout, which no trained model has
 * @throws CheckpointError CKPT_NONFINITE names the first tensor with a NaN or an infinity and the flat index of the
 *   value; CKPT_READ, CKPT_SHORT_READ, CKPT_CHANGED
 */
export async function verifyWeights(
  checkpoint: Checkpoint,
  options: { onProgress?: (progress: VerifyProgress) => void } = {},
): Promise<string[]> {
  const entries = [...checkpoint.entries.values()];
  const totalBytes = entries.reduce((sum, entry) => sum + entry.sizeBytes, 0);
  const piece = new Uint8Array(PIECE_BYTES);
  const warnings: string[] = [];
  let doneBytes = 0;
  for (const entry of entries) {
    let isZero = true;
    for (let offset = 0; offset < entry.sizeBytes; offset += PIECE_BYTES) {
      const bytes = piece.subarray(0, Math.min(PIECE_BYTES, entry.sizeBytes - offset));
      await checkpoint.readInto(entry.name, offset, bytes);
      const { firstNonFinite, hasNonZero } = scanPiece(bytes, entry);
      if (firstNonFinite >= 0)
        throw nonFiniteError(entry, offset / WEIGHT_BYTES[entry.dtype] + firstNonFinite);
      if (hasNonZero) isZero = false;
      doneBytes += bytes.byteLength;
      options.onProgress?.({ doneBytes, totalBytes });
    }
    // Biases may be zero (a projection trained without), matrices and norms may not.
    if (isZero && entry.name.endsWith('.weight')) {
      warnings.push(`${entry.file}: tensor ${entry.name} is zero throughout, from index 0 on`);
    }
  }
  return warnings;
}

// A value is NaN or infinite when all bits of its exponent are set; it is zero when all but the sign are clear.
const EXPONENT_MASK = { f32: 0x7f80_0000, bf16: 0x7f80, f16: 0x7c00 };
const MAGNITUDE_MASK = { f32: 0x7fff_ffff, bf16: 0x7fff, f16: 0x7fff };

function scanPiece(
  bytes: Uint8Array,
  { dtype }: WeightEntry,
): { firstNonFinite: number; hasNonZero: boolean } {
  const count = bytes.byteLength / WEIGHT_BYTES[dtype];
  const values =
    dtype === 'f32' ? new Uint32Array(bytes.buffer, 0, count) : new Uint16Array(bytes.buffer, 0, count);
  const exponentMask = EXPONENT_MASK[dtype];
  let anyBits = 0;
  for (let i = 0; i < count; i++) {
    if ((values[i] & exponentMask) === exponentMask) return { firstNonFinite: i, hasNonZero: true };
    anyBits |= values[i];
  }
  return { firstNonFinite: -1, hasNonZero: (anyBits & MAGNITUDE_MASK[dtype]) !== 0 };
}

function nonFiniteError(entry: WeightEntry, index: number): CheckpointError {
  return new CheckpointError(
    'CKPT_NONFINITE',
    `${entry.file}: tensor ${entry.name} holds a NaN or an infinity at index ${index}`,
    {
      file: entry.file,
      tensor: entry.name,
      actual: index,
      hint: 'download the file again, or repeat its conversion',
    },
  );
}
