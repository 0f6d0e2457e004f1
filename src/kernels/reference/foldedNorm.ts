import type { ReferenceArrays } from '../../gpu/declaration.ts';
import type { Symbols } from '../../gpu/shapes.ts';
import { matmulReference } from './matmul.ts';
import { siluGateReference } from './siluGate.ts';

/** scaled[i] = hidden[i] · gain[i], squares[p] = Σ hidden[8p … 8p + 7]² */
export function scaleForNormReference({ hidden, gain }: ReferenceArrays, { dim }: Symbols) {
  const squares = new Float64Array(Math.ceil(dim / 8));
  for (let i = 0; i < dim; i++) squares[Math.floor(i / 8)] += hidden[i] ** 2;
  return { scaled: hidden.map((value, i) => value * gain[i]), squares };
}

/** hidden += the linear layer, then `scaleForNorm` of what it has become */
export function gemvAddScaleReference(arrays: ReferenceArrays, sizes: Symbols) {
  const { out } = matmulReference(arrays, sizes);
  const hidden = arrays.hidden.map((value, i) => value + out[i]);
  return { hidden, ...scaleForNormReference({ ...arrays, hidden }, { dim: sizes.outDim }) };
}

/** out[col] = Σ_k x[k] · weight[col, k] / sqrt(Σ squares / inDim + eps) + bias[col] */
export function gemvNormReference(arrays: ReferenceArrays, sizes: Symbols) {
  const sumOfSquares = arrays.squares.reduce((sum, value) => sum + value, 0);
  const scale = 1 / Math.sqrt(sumOfSquares / sizes.inDim + sizes.eps);
  return matmulReference({ ...arrays, x: arrays.x.map((value) => value * scale) }, sizes);
}

/** The same, its columns gate and up in turn: out[i] = silu(gate) · up */
export function gemvNormGateReference(arrays: ReferenceArrays, sizes: Symbols) {
  const gateUp = gemvNormReference(arrays, sizes).out;
  return siluGateReference({ gateUp }, { rows: 1, gateUpDim: sizes.outDim });
}
