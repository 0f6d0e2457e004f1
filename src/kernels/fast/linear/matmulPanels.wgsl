// matmulPanels: a linear layer on many rows, weights in panels of eight rows (shared/readPanel.wgsl), x transposed.
//
//   out[row, col] = Σ_k x[row, k] · weight[col, k] + bias[col]
//
//            rows                8                    outDim
//         ┌─────────┐         ┌─────────┐          ┌─────────┐
//         │         │       k │         │     rows │█████████│    each thread: 8 x 8 values of out (█), in four mat4x4f
//       k │ ▓▓▓▓▓▓▓▓│         │░░░░░░░░ │          │█████████│    each step:   one k: two vec4 of x (▓) and one vec4u that is
//         │         │         │         │          │█████████│                  eight weights (░), three loads for 64 products
//         └─────────┘         └─────────┘          └─────────┘
//     x as transposeRows    a panel: eight
//     leaves it             rows of weight
//
// Sums are f32, in the order of k. What becomes of them: shared/storePanel.wgsl. A software adapter pays for each component of a load
// and hardly for the product, so the block is wide; more k a step is slower there, for the compiler then keeps too many loads in registers.

override WORKGROUP_M: u32 = 8u;  // threads along the rows of out
override WORKGROUP_N: u32 = 8u;  // threads along its columns
override WEIGHT_DTYPE: u32 = 0u;  // set by the host from the tensors: 0 f32, 1 bf16, 2 f16
override BIAS_DTYPE: u32 = 0u;

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
  let firstCol = PANEL_ROWS * thread.x;  // within this piece of the weight
  let firstRow = PANEL_ROWS * thread.y;
  if (firstCol >= params.weightRows || firstRow >= params.rows) {
    return;
  }
  let panelStart = thread.x * params.inDim;
  let rowVecs = 2u * panelsOf(params.rows);  // vec4 per k

  var upper0 = mat4x4f();  // rows firstRow + 0, 1, 2, 3, columns firstCol + 0, 1, 2, 3
  var lower0 = mat4x4f();  // the same rows, columns firstCol + 4, 5, 6, 7
  var upper4 = mat4x4f();  // rows firstRow + 4, 5, 6, 7
  var lower4 = mat4x4f();
  for (var k = 0u; k < params.inDim; k++) {
    let w = panelColumn(panelStart + k);
    let rows0to3 = xT[k * rowVecs + 2u * thread.y];
    let rows4to7 = xT[k * rowVecs + 2u * thread.y + 1u];
    upper0 += outer(rows0to3, w.upper);
    lower0 += outer(rows0to3, w.lower);
    upper4 += outer(rows4to7, w.upper);
    lower4 += outer(rows4to7, w.lower);
  }

  // In a loop: eight copies of what becomes of a row take long to compile.
  let upper = array(upper0, upper4);
  let lower = array(lower0, lower4);
  for (var row = firstRow; row < min(firstRow + PANEL_ROWS, params.rows); row++) {
    let i = row - firstRow;
    storePanel(row, firstCol, upper[i / 4u][i % 4u], lower[i / 4u][i % 4u]);
  }
}
