// Weights in panels: eight rows of a matrix [outDim, inDim] lie interleaved, so that one load brings eight weights of a column k.
//
//             k                   panel p = rows 8p … 8p + 7
//          ┌──┬──┬──┬──┐          16-bit: one vec4u per (p, k); word j holds row 8p + j in its lower half
//   8p + 0 │▓ │  │  │  │                                            and row 8p + 4 + j in its upper half.
//      ⋮   │▓ │  │  │  │          f32: two vec4u per (p, k): rows 8p … 8p + 3, then rows 8p + 4 … 8p + 7.
//   8p + 7 │▓ │  │  │  │          The last panel is filled up with rows of zeros.
//          └──┴──┴──┴──┘
//
// The kernel declares `weight` as array<vec4u> and
//   override WEIGHT_DTYPE: u32 = 0u;  // set by the host from the tensor: 0 f32, 1 bf16, 2 f16

/// Eight weights of one column: those of the panel's rows 0, 1, 2, 3, and of its rows 4, 5, 6, 7.
struct PanelColumn {
  upper: vec4f,
  lower: vec4f,
}

/// Column `i` = panel · inDim + k.
fn panelColumn(i: u32) -> PanelColumn {
  if (WEIGHT_DTYPE == 0u) {
    return PanelColumn(bitcast<vec4f>(weight[2u * i]), bitcast<vec4f>(weight[2u * i + 1u]));
  }
  return unpackColumn(weight[i]);
}

/// A column in 16 bits.
fn unpackColumn(words: vec4u) -> PanelColumn {
  if (WEIGHT_DTYPE == 1u) {  // bf16 is the upper half of an f32
    return PanelColumn(bitcast<vec4f>(words << vec4u(16u)), bitcast<vec4f>(words & vec4u(0xffff0000u)));
  }
  let row0 = unpack2x16float(words.x);
  let row1 = unpack2x16float(words.y);
  let row2 = unpack2x16float(words.z);
  let row3 = unpack2x16float(words.w);
  return PanelColumn(vec4f(row0.x, row1.x, row2.x, row3.x), vec4f(row0.y, row1.y, row2.y, row3.y));
}
