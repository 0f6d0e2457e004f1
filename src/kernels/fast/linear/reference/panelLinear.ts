import type { ReferenceArrays } from '../../../../gpu/declaration.ts';
import { paddedRows } from '../../../../gpu/panels.ts';
import type { Symbols } from '../../../../gpu/shapes.ts';
import { geluReference } from '../../../plain/reference/gelu.ts';
import { matmulReference } from '../../../plain/reference/matmul.ts';
import { siluGateReference } from '../../../plain/reference/siluGate.ts';

/** out[row, col] += Σ_k x[row, k] · weight[col, k] + bias[col] */
export function linearAddReference(arrays: ReferenceArrays, sizes: Symbols) {
  const { out } = matmulReference(arrays, sizes);
  return { out: out.map((sum, i) => arrays.out[i] + sum) };
}

/** The linear layer's columns are gate and up in turn: out[row, i] = silu(gate) · up */
export function linearGateReference(arrays: ReferenceArrays, sizes: Symbols) {
  const gateUp = matmulReference(arrays, sizes).out;
  return siluGateReference({ gateUp }, { rows: sizes.rows ?? 1, gateUpDim: sizes.outDim });
}

/** gelu(x · weightᵀ + bias) */
export function linearGeluReference(arrays: ReferenceArrays, sizes: Symbols) {
  return geluReference({ x: matmulReference(arrays, sizes).out });
}

/** `xT` [inDim, ceil(rows / 8) · 8] as `x` [rows, inDim], for the definitions above. */
export function fromTransposed(reference: typeof linearAddReference) {
  return ({ xT, ...arrays }: ReferenceArrays, sizes: Symbols) => {
    const { rows, inDim } = sizes;
    const xRows = paddedRows(rows);
    const x = new Float64Array(rows * inDim).map((_, i) => xT[(i % inDim) * xRows + Math.floor(i / inDim)]);
    return reference({ ...arrays, x }, sizes);
  };
}
