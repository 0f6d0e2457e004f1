/** Which weights an adapter's binding limit splits, found without loading them. */
import { type Layout, rowsThatBind, sizeBytes } from '../gpu/tensor.ts';
import type { WeightEntry } from '../model/checkpoint/weightEntries.ts';

/** A tensor as it lies on the GPU: as stored, or several joined into one (model/load/weightLoader.ts). */
export interface UploadedTensor {
  readonly name: string;
  readonly dtype: WeightEntry['dtype'];
  readonly shape: readonly number[];
  /** How its rows lie with the fast kernels. */
  readonly layout: Layout;
}

/** A tensor that one binding can't show whole. */
export interface SplitTensor extends UploadedTensor {
  readonly sizeBytes: number;
  /** null: one row is longer than the limit, so that the model can't be loaded at all. */
  readonly pieces: number | null;
}

/** @returns what loading makes of the stored tensors: q, k, v are joined, and gate with up; matrices lie in panels */
export function uploadedTensors(stored: Iterable<WeightEntry>): UploadedTensor[] {
  const entries = [...stored];
  const hasHead = entries.some(({ name }) => name.endsWith('lm_head.weight'));
  const joined = new Map<string, UploadedTensor>();
  for (const { name, dtype, shape } of entries) {
    // The token table is looked up by rows, unless it is the output head, too.
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
