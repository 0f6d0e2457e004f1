// matmulPanelsQuad: matmulPanels whose lanes share what they load of x, four by four, and compute twice as many rows.
//
//   out[row, col] = Σ_k x[row, k] · weight[col, k] + bias[col]
//
//            inDim               inDim
//         ┌─────────┐         ┌─────────┐       each thread: 16 rows x 8 columns of out in registers. The four lanes of a quad
//    rows │ 01234567│ outDim  │ ░ lane 0│       have the same rows and four panels side by side. Each step, one k: a lane loads
//         │ 89……  15│         │ ░ lane 1│       four of the sixteen values of x, and its own eight weights (░); the quad
//         └─────────┘         │ ░ lane 2│       exchanges the values. Eight components are loaded for 128 products, where
//                             └─────────┘       matmulPanels loads 24.
//
// Sums are f32, in the order of k. What becomes of them: shared/storePanel.wgsl. A software adapter with wide registers pays for
// each component of a load, and hardly for an exchange in a quad. Four threads in a row are taken to be a quad, as drivers have it.

enable subgroups;
diagnostic(off, subgroup_uniformity);  // all lanes of a quad take part in its exchanges, which the compiler can't see

const THREAD_ROWS = 16u;  // rows of out per thread

override WORKGROUP_M: u32 = 1u;  // threads along the rows of out
override WORKGROUP_N: u32 = 16u;  // threads along its columns, a multiple of four
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
  if (4u * PANEL_ROWS * (thread.x / 4u) >= params.weightRows || THREAD_ROWS * thread.y >= params.rows) {
    return;  // a whole quad
  }
  // Lanes past the last panel repeat that one, for their quad, and store nothing.
  let panel = min(thread.x, panelsOf(params.weightRows) - 1u);
  let panelStart = panel * params.inDim;
  let rowVecs = 2u * panelsOf(params.rows);                        // vec4 per k
  let rowVec = min(4u * thread.y + thread.x % 4u, rowVecs - 1u);   // the four rows that this lane loads

  var upper0 = mat4x4f();  // rows 16 · thread.y + 0, 1, 2, 3, columns 8 · panel + 0, 1, 2, 3
  var lower0 = mat4x4f();  // the same rows, columns 8 · panel + 4, 5, 6, 7
  var upper4 = mat4x4f();  // the next four rows
  var lower4 = mat4x4f();
  var upper8 = mat4x4f();
  var lower8 = mat4x4f();
  var upper12 = mat4x4f();
  var lower12 = mat4x4f();
  for (var k = 0u; k < params.inDim; k++) {
    let w = panelColumn(panelStart + k);
    let own = xT[k * rowVecs + rowVec];
    let rows0to3 = quadBroadcast(own, 0u);
    let rows4to7 = quadBroadcast(own, 1u);
    let rows8to11 = quadBroadcast(own, 2u);
    let rows12to15 = quadBroadcast(own, 3u);
    upper0 += outer(rows0to3, w.upper);
    lower0 += outer(rows0to3, w.lower);
    upper4 += outer(rows4to7, w.upper);
    lower4 += outer(rows4to7, w.lower);
    upper8 += outer(rows8to11, w.upper);
    lower8 += outer(rows8to11, w.lower);
    upper12 += outer(rows12to15, w.upper);
    lower12 += outer(rows12to15, w.lower);
  }

  if (PANEL_ROWS * thread.x >= params.weightRows) {
    return;
  }
  let firstRow = THREAD_ROWS * thread.y;
  let firstCol = PANEL_ROWS * thread.x;  // within this piece of the weight
  // In a loop: sixteen copies of what becomes of a row take long to compile.
  let upper = array(upper0, upper4, upper8, upper12);
  let lower = array(lower0, lower4, lower8, lower12);
  for (var row = firstRow; row < min(firstRow + THREAD_ROWS, params.rows); row++) {
    let i = row - firstRow;
    storePanel(row, firstCol, upper[i / 4u][i % 4u], lower[i / 4u][i % 4u]);
  }
}
