// matmulPanelsQuad: matmulPanels whose lanes share what they load of x, four by four.
//
//   out[row, col] = Σ_k x[row, k] · weight[col, k] + bias[col]
//
//            inDim               inDim
//         ┌─────────┐         ┌─────────┐       each thread: 8 rows x 8 columns of out in registers. The four lanes of a quad
//    rows │ 01234567│ outDim  │ ░ lane 0│       have the same rows and four panels side by side. Each step, one k: a lane loads
//         └─────────┘         │ ░ lane 1│       two of the eight values of x, and its own eight weights (░); the quad exchanges
//                             │ ░ lane 2│       the values. Six components are loaded for 64 products, not twelve.
//                             └─────────┘
//
// Sums are f32, in the order of k. What becomes of them: shared/storePanel.wgsl. A software adapter with wide registers pays for
// each component of a load, and hardly for an exchange in a quad. Four threads in a row are taken to be a quad, as drivers have it.

enable subgroups;
diagnostic(off, subgroup_uniformity);  // all lanes of a quad take part in its exchanges, which the compiler can't see

override WORKGROUP_M: u32 = 8u;  // threads along the rows of out
override WORKGROUP_N: u32 = 8u;  // threads along its columns, a multiple of four
override WEIGHT_DTYPE: u32 = 0u;  // set by the host from the tensors: 0 f32, 1 bf16, 2 f16
override BIAS_DTYPE: u32 = 0u;
override EPILOGUE: u32 = 0u;  // see shared/storePanel.wgsl

@group(0) @binding(0) var<storage, read> xT: array<vec2f>;        // [inDim, ceil(rows / 8) · 8]
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
  if (32u * (thread.x / 4u) >= params.weightRows || 8u * thread.y >= params.rows) {
    return;  // a whole quad
  }
  // Lanes past the last panel repeat that one, for their quad, and store nothing.
  let panel = min(thread.x, (params.weightRows + 7u) / 8u - 1u);
  let panelStart = panel * params.inDim;
  let rowPairs = (params.rows + 7u) / 8u * 4u;  // vec2 per k
  let pair = 4u * thread.y + thread.x % 4u;     // the two rows that this lane loads

  var upper0 = vec4f(0.0);  // row 8 · thread.y + 0, columns 8 · panel + 0, 1, 2, 3
  var lower0 = vec4f(0.0);  // the same row, columns 8 · panel + 4, 5, 6, 7
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
    let own = xT[k * rowPairs + pair];
    let rows0and1 = quadBroadcast(own, 0u);
    let rows2and3 = quadBroadcast(own, 1u);
    let rows4and5 = quadBroadcast(own, 2u);
    let rows6and7 = quadBroadcast(own, 3u);
    upper0 += rows0and1.x * w.upper;
    lower0 += rows0and1.x * w.lower;
    upper1 += rows0and1.y * w.upper;
    lower1 += rows0and1.y * w.lower;
    upper2 += rows2and3.x * w.upper;
    lower2 += rows2and3.x * w.lower;
    upper3 += rows2and3.y * w.upper;
    lower3 += rows2and3.y * w.lower;
    upper4 += rows4and5.x * w.upper;
    lower4 += rows4and5.x * w.lower;
    upper5 += rows4and5.y * w.upper;
    lower5 += rows4and5.y * w.lower;
    upper6 += rows6and7.x * w.upper;
    lower6 += rows6and7.x * w.lower;
    upper7 += rows6and7.y * w.upper;
    lower7 += rows6and7.y * w.lower;
  }

  if (8u * thread.x >= params.weightRows) {
    return;
  }
  let firstRow = 8u * thread.y;
  let firstCol = 8u * thread.x;  // within this piece of the weight
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
