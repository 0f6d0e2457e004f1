/** A full check of the stored weights, e.g. after a download or a conversion. */
import { CheckpointError } from '../../errors.ts';
import { type Checkpoint, PIECE_BYTES, type WeightEntry } from './checkpoint.ts';
import { WEIGHT_BYTES } from './safetensors.ts';

export interface VerifyProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/**
 * Reads every weight of the model, at most 4 MiB at a time, and checks it. Loading does not do this, because it takes as long as
 * reading the whole checkpoint.
 *
 * @param options.onProgress called after each chunk
 * @returns warnings about weights that are all zero, which no trained model has
 * @throws CheckpointError CKPT_NONFINITE with the first tensor that has a NaN or an infinity, and the value's flat index;
 *   CKPT_READ, CKPT_SHORT_READ, CKPT_CHANGED
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
    // A bias may be zero (trained without one), a matrix or a norm may not.
    if (isZero && entry.name.endsWith('.weight')) {
      warnings.push(`${entry.file}: tensor ${entry.name} is all zeros`);
    }
  }
  return warnings;
}

// A value is NaN or infinite if all bits of its exponent are set, and zero if all bits but the sign are clear.
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
