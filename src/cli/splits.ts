/** Finds the weights that a binding limit splits, without loading them. */
import { type Layout, rowsThatBind, sizeBytes } from '../gpu/tensor.ts';
import type { WeightEntry } from '../model/checkpoint/weightEntries.ts';

/** A tensor as uploaded to the GPU, perhaps joined from several stored ones (model/load/weightLoader.ts). */
export interface UploadedTensor {
  readonly name: string;
  readonly dtype: WeightEntry['dtype'];
  readonly shape: readonly number[];
  /** Its layout with the fast kernels. */
  readonly layout: Layout;
}

/** A tensor that is larger than one binding. */
export interface SplitTensor extends UploadedTensor {
  readonly sizeBytes: number;
  /** null if a single row exceeds the limit, so that the model can't be loaded. */
  readonly pieces: number | null;
}

/** The tensors that loading makes of the stored ones: q, k and v are joined, as are gate and up; matrices are in panels. */
export function uploadedTensors(stored: Iterable<WeightEntry>): UploadedTensor[] {
  const entries = [...stored];
  const hasHead = entries.some(({ name }) => name.endsWith('lm_head.weight'));
  const joined = new Map<string, UploadedTensor>();
  for (const { name, dtype, shape } of entries) {
    // The token table is stored in rows, unless it is also the output head.
    const isTable = hasHead && name.endsWith('embed_tokens.weight');
    const layout = shape.length > 1 && !isTable ? 'panels' : 'rows';
    const joinedName = name
      .replace(/\.self_attn\.[qkv]_proj\./, '.self_attn.{q,k,v}_proj.')
      .replace(/\.mlp\.(gate|up)_proj\./, '.mlp.{gate,up}_proj.');
    const rows = (joined.get(joinedName)?.shape[0] ?? 0) + shape[0];
    joined.set(joinedName, { name: joinedName, dtype, shape: [rows, ...shape.slice(1)], layout });
  }
  return [...joined.values()];
}

/** @returns the tensors that are split under the limit */
export function splitTensors(tensors: readonly UploadedTensor[], maxBindingBytes: number): SplitTensor[] {
  return tensors
    .map((tensor) => ({
      ...tensor,
      sizeBytes: sizeBytes(tensor),
      pieces: pieceCount(tensor, maxBindingBytes),
    }))
    .filter(({ pieces }) => pieces !== 1);
}

function pieceCount(tensor: UploadedTensor, maxBindingBytes: number): number | null {
  const rowsPerPiece = rowsThatBind(tensor, maxBindingBytes, tensor.layout);
  return rowsPerPiece === 0 ? null : Math.ceil(tensor.shape[0] / rowsPerPiece);
}
