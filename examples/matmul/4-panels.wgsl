// matmul, step 4: weights in panels, x transposed, a block of 8 x 8 values of out per thread.
//
//   out[row, col] = Σ_k x[row, k] · weight[col, k] + bias[col]
//
//            rows                8                    outDim
//         ┌─────────┐         ┌─────────┐          ┌─────────┐
//         │         │       k │         │     rows │█████████│    each thread: 8 x 8 values of out (█), two vec4 per row
//       k │ ▓▓▓▓▓▓▓▓│         │░░░░░░░░ │          │█████████│    each step:   one k: two vec4 of x (▓) and one vec4u that is
//         │         │         │         │          │█████████│                  eight weights (░), three loads for 64 products
//         └─────────┘         └─────────┘          └─────────┘
//     x as transposeRows    a panel: eight
//     leaves it             rows of weight
//
// Sums are f32, in the order of k. src/kernels/fast/linear/matmulPanels.wgsl is the same kernel with a choice of endings.

override WORKGROUP_M: u32 = 8u;  // threads along the rows of out
override WORKGROUP_N: u32 = 8u;  // threads along its columns
override WEIGHT_DTYPE: u32 = 0u;  // set by the host from the tensors: 0 f32, 1 bf16, 2 f16
override BIAS_DTYPE: u32 = 0u;

@group(0) @binding(0) var<storage, read> xT: array<vec4f>;        // [inDim, ceil(rows / 8) · 8]
@group(0) @binding(1) var<storage, read> weight: array<vec4u>;    // [outDim, inDim] in panels, or some of them
@group(0) @binding(2) var<storage, read> bias: array<u32>;        // [outDim]
@group(0) @binding(3) var<storage, read_write> out: array<f32>;   // [rows, outDim]
@group(0) @binding(4) var<uniform> params: Params;

struct Params {
  rows: u32,
  inDim: u32,
  outDim: u32,
  weightFirstRow: u32,
  weightRows: u32,
}

@compute @workgroup_size(WORKGROUP_N, WORKGROUP_M)
fn main(@builtin(global_invocation_id) thread: vec3u) {
  let firstCol = 8u * thread.x;  // within this piece of the weight
  let firstRow = 8u * thread.y;
  if (firstCol >= params.weightRows || firstRow >= params.rows) {
    return;
  }
  let panelStart = thread.x * params.inDim;
  let vecsPerK = (params.rows + 7u) / 8u * 2u;  // vec4 of xT for one k
  let firstVec = 2u * thread.y;

  var upper0 = vec4f(0.0);  // row firstRow + 0, columns firstCol + 0, 1, 2, 3
  var lower0 = vec4f(0.0);  // the same row, columns firstCol + 4, 5, 6, 7
  var upper1 = vec4f(0.0);
  var lower1 = vec4f(0.0);
  var upper2 = vec4f(0.0);
  var lower2 = vec4f(0.0);
  var upper3 = vec4f(0.0);
  var lower3 = vec4f(0.0);
  var upper4 = vec4f(0.0);
  var lower4 = vec4f(0.0);
  var upper5 = vec4f(0.0);
  var lower5 = vec4f(0.0);
  var upper6 = vec4f(0.0);
  var lower6 = vec4f(0.0);
  var upper7 = vec4f(0.0);
  var lower7 = vec4f(0.0);
  for (var k = 0u; k < params.inDim; k++) {
    let w = panelColumn(panelStart + k);
    let rows0to3 = xT[k * vecsPerK + firstVec];
    let rows4to7 = xT[k * vecsPerK + firstVec + 1u];
    upper0 += rows0to3.x * w.upper;
    lower0 += rows0to3.x * w.lower;
    upper1 += rows0to3.y * w.upper;
    lower1 += rows0to3.y * w.lower;
    upper2 += rows0to3.z * w.upper;
    lower2 += rows0to3.z * w.lower;
    upper3 += rows0to3.w * w.upper;
    lower3 += rows0to3.w * w.lower;
    upper4 += rows4to7.x * w.upper;
    lower4 += rows4to7.x * w.lower;
    upper5 += rows4to7.y * w.upper;
    lower5 += rows4to7.y * w.lower;
    upper6 += rows4to7.z * w.upper;
    lower6 += rows4to7.z * w.lower;
    upper7 += rows4to7.w * w.upper;
    lower7 += rows4to7.w * w.lower;
  }

  storeRow(firstRow, firstCol, upper0, lower0);
  storeRow(firstRow + 1u, firstCol, upper1, lower1);
  storeRow(firstRow + 2u, firstCol, upper2, lower2);
  storeRow(firstRow + 3u, firstCol, upper3, lower3);
  storeRow(firstRow + 4u, firstCol, upper4, lower4);
  storeRow(firstRow + 5u, firstCol, upper5, lower5);
  storeRow(firstRow + 6u, firstCol, upper6, lower6);
  storeRow(firstRow + 7u, firstCol, upper7, lower7);
}

/// Adds the bias to one row of a thread's block and stores the values that are inside out.
fn storeRow(row: u32, firstCol: u32, upper: vec4f, lower: vec4f) {
  for (var n = 0u; n < 4u; n++) {
    store(row, firstCol + n, upper[n]);
    store(row, firstCol + 4u + n, lower[n]);
  }
}

fn store(row: u32, pieceCol: u32, sum: f32) {
  if (row < params.rows && pieceCol < params.weightRows) {
    let col = params.weightFirstRow + pieceCol;
    out[row * params.outDim + col] = sum + biasAt(col);
  }
}

fn biasAt(i: u32) -> f32 {
  return unpackWeight(bias[weightWord(i, BIAS_DTYPE)], i, BIAS_DTYPE);
}
