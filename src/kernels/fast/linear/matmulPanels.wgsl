// matmulPanels: a linear layer on many rows, weights in panels of eight rows (shared/readPanel.wgsl), x transposed.
//
//   out[row, col] = Σ_k x[row, k] · weight[col, k] + bias[col]
//
//            inDim               inDim
//         ┌─────────┐         ┌─────────┐       each thread: 8 rows x 8 columns of out in registers;
//    rows │ ▓▓▓▓▓▓▓ │ outDim  │ ░░░░░░░ │                    each step: one k, two vec4 of x (▓) and one vec4u of weights (░),
//         │ ▓▓▓▓▓▓▓ │         │ ░░░░░░░ │                    three loads for 64 products.
//         └─────────┘         └─────────┘
//
// Sums are f32, in the order of k. What becomes of them: shared/storePanel.wgsl. A software adapter pays for each component of a load and hardly for the product, so the
// block is wide; more k a step is slower there, for the compiler then keeps too many loads in registers.

override WORKGROUP_M: u32 = 8u;  // threads along the rows of out
override WORKGROUP_N: u32 = 8u;  // threads along its columns
override WEIGHT_DTYPE: u32 = 0u;  // set by the host from the tensors: 0 f32, 1 bf16, 2 f16
override BIAS_DTYPE: u32 = 0u;
override EPILOGUE: u32 = 0u;  // see shared/storePanel.wgsl

@group(0) @binding(0) var<storage, read> xT: array<vec4f>;        // [inDim, ceil(rows / 8) · 8]
@group(0) @binding(1) var<storage, read> weight: array<vec4u>;    // [outDim, inDim] in panels, or some of them
@group(0) @binding(2) var<storage, read> bias: array<u32>;        // [outDim]
@group(0) @binding(3) var<storage, read_write> out: array<f32>;   // [rows, outDim]; GATE: [rows, outDim / 2]
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
  let rowVecs = (params.rows + 7u) / 8u * 2u;  // vec4 per k

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
    let rows0to3 = xT[k * rowVecs + 2u * thread.y];
    let rows4to7 = xT[k * rowVecs + 2u * thread.y + 1u];
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

  // In a loop: eight copies of what becomes of a row take long to compile.
  let sums = array(
    upper0, lower0, upper1, lower1, upper2, lower2, upper3, lower3,
    upper4, lower4, upper5, lower5, upper6, lower6, upper7, lower7,
  );
  for (var row = firstRow; row < min(firstRow + 8u, params.rows); row++) {
    let i = 2u * (row - firstRow);
    storePanel(row, firstCol, sums[i], sums[i + 1u]);
  }
}
