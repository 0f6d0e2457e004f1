// What a linear layer on panels does with its sums. The kernel declares bias: array<u32>, out: array<f32>, params with outDim,
// weightFirstRow and weightRows, has erf.wgsl and readWeight.wgsl among its helpers, and
//   override BIAS_DTYPE: u32 = 0u;  // set by the host from the tensor: 0 f32, 1 bf16, 2 f16

// The declaration sets one of the three, or none: out[row, col] = sum + bias[col]. See linearFamily.ts.
override ADD: bool = false;   // out[row, col] += sum + bias[col]: the residual connection
override GATE: bool = false;  // out[row, i] = silu(sum₂ᵢ + bias₂ᵢ) · (sum₂ᵢ₊₁ + bias₂ᵢ₊₁): gate and up columns in turn; silu(g) = g / (1 + exp(-g))
override GELU: bool = false;  // out[row, col] = gelu(sum + bias[col]): the exact one, see erf.wgsl

/// The eight sums of a panel for one row: columns firstCol + 0, 1, 2, 3 and firstCol + 4, 5, 6, 7 of this piece of the weight.
fn storePanel(row: u32, firstCol: u32, upper: vec4f, lower: vec4f) {
  if (GATE) {
    storeGated(row, firstCol, upper.x, upper.y);
    storeGated(row, firstCol + 2u, upper.z, upper.w);
    storeGated(row, firstCol + 4u, lower.x, lower.y);
    storeGated(row, firstCol + 6u, lower.z, lower.w);
    return;
  }
  for (var n = 0u; n < 4u; n++) {
    storeSum(row, firstCol + n, upper[n]);
    storeSum(row, firstCol + 4u + n, lower[n]);
  }
}

fn storeSum(row: u32, pieceCol: u32, sum: f32) {
  if (pieceCol >= params.weightRows) {
    return;
  }
  let col = params.weightFirstRow + pieceCol;
  let i = row * params.outDim + col;
  let value = sum + biasAt(col);
  if (ADD) {
    out[i] += value;
  } else if (GELU) {
    out[i] = gelu(value);
  } else {
    out[i] = value;
  }
}

fn storeGated(row: u32, pieceCol: u32, gateSum: f32, upSum: f32) {
  if (pieceCol >= params.weightRows) {
    return;
  }
  let col = params.weightFirstRow + pieceCol;
  let gate = gateSum + biasAt(col);
  let up = upSum + biasAt(col + 1u);
  out[(row * params.outDim + col) / 2u] = gate / (1.0 + exp(-gate)) * up;
}

fn biasAt(i: u32) -> f32 {
  return unpackWeight(bias[weightWord(i, BIAS_DTYPE)], i, BIAS_DTYPE);
}
