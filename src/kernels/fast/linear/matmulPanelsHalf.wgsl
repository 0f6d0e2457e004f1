// matmulPanelsHalf: matmulPanelsTiled in f16, for GPUs that multiply twice as many f16 as f32. It needs shader-f16.
//
//   out[row, col] = xScale[row] · Σ_k (x[row, k] / xScale[row]) · weight[col, k] + bias[col]
//
//              K_STEP                K_STEP
//            ┌──┬──┬──┐            ┌──┬──┬──┐      a workgroup: 64 rows x 64 columns of out, 8 x 8 of them a thread, in registers;
//   64 rows  │  │▓▓│  │   64 cols  │  │░░│  │      each step: 64 threads bring 16 columns of x (▓) and of 8 panels (░) into
//            │  │▓▓│  │  (8 panels)│  │░░│  │                 workgroup memory as f16, then every thread multiplies out of it.
//            └──┴──┴──┘            └──┴──┴──┘
//
//   f16:  x / xScale, at most 1 (see rowScales); weight; their products, and the sums of the K_STEP products of one step
//   f32:  the sum of the steps, in the order of k; times xScale, and what comes after it: see shared/storePanel.wgsl
//
// Past the edge of x and weight the last rows and panels are read again, and their sums not stored; past the last k, x is 0.

enable f16;

const THREADS = 64u;     // 8 along the rows of out x 8 along its columns
const TILE_PANELS = 8u;  // a panel per thread along the columns
const TILE_ROWS = 64u;
const ROW_VECS = TILE_ROWS / 4u;
const K_STEP = 16u;
const STRIDE = TILE_PANELS + 1u;  // of columns in weightTile: with 8, those of one panel would share a bank of workgroup memory

override WEIGHT_DTYPE: u32 = 0u;  // set by the host from the tensors: 0 f32, 1 bf16, 2 f16
override BIAS_DTYPE: u32 = 0u;

@group(0) @binding(0) var<storage, read> xT: array<vec4f>;        // [inDim, ceil(rows / 8) · 8]
@group(0) @binding(1) var<storage, read> xScales: array<vec4f>;   // [ceil(rows / 8) · 8], powers of two
@group(0) @binding(2) var<storage, read> weight: array<vec4u>;    // [outDim, inDim] in panels, or some of them
@group(0) @binding(3) var<storage, read> bias: array<u32>;        // [outDim]
@group(0) @binding(4) var<storage, read_write> out: array<f32>;   // [rows, outDim]; GATE: [rows, outDim / 2]
@group(0) @binding(5) var<uniform> params: Params;

struct Params {
  rows: u32,
  inDim: u32,
  outDim: u32,
  weightFirstRow: u32,
  weightRows: u32,
}

/// Eight weights of one column: those of the panel's rows 0, 1, 2, 3, and of its rows 4, 5, 6, 7.
struct TileColumn {
  upper: vec4h,
  lower: vec4h,
}

var<workgroup> xTile: array<vec4h, K_STEP * ROW_VECS>;            // [K_STEP, ROW_VECS]: 2 KiB
var<workgroup> weightTile: array<TileColumn, K_STEP * STRIDE>;    // [K_STEP, STRIDE]: 2.25 KiB

@compute @workgroup_size(8, 8)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) thread: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  var upper0 = mat4x4f();  // rows 0, 1, 2, 3 of the thread's eight, columns 0, 1, 2, 3 of its panel
  var lower0 = mat4x4f();  // the same rows, columns 4, 5, 6, 7
  var upper4 = mat4x4f();  // rows 4, 5, 6, 7
  var lower4 = mat4x4f();
  for (var firstK = 0u; firstK < params.inDim; firstK += K_STEP) {
    stageRows(group.y * ROW_VECS, firstK, index);
    stagePanels(group.x * TILE_PANELS, firstK, index);
    workgroupBarrier();
    var stepUpper0 = mat4x4h();  // as above, of this step alone
    var stepLower0 = mat4x4h();
    var stepUpper4 = mat4x4h();
    var stepLower4 = mat4x4h();
    for (var k = 0u; k < K_STEP; k++) {
      let w = weightTile[k * STRIDE + thread.x];
      let rows0to3 = xTile[k * ROW_VECS + 2u * thread.y];
      let rows4to7 = xTile[k * ROW_VECS + 2u * thread.y + 1u];
      stepUpper0 = addOuter(stepUpper0, rows0to3, w.upper);
      stepLower0 = addOuter(stepLower0, rows0to3, w.lower);
      stepUpper4 = addOuter(stepUpper4, rows4to7, w.upper);
      stepLower4 = addOuter(stepLower4, rows4to7, w.lower);
    }
    upper0 += mat4x4f(stepUpper0);
    lower0 += mat4x4f(stepLower0);
    upper4 += mat4x4f(stepUpper4);
    lower4 += mat4x4f(stepLower4);
    workgroupBarrier();  // before the next step overwrites the tiles
  }

  let firstRow = group.y * TILE_ROWS + PANEL_ROWS * thread.y;
  let firstCol = PANEL_ROWS * (group.x * TILE_PANELS + thread.x);  // within this piece of the weight
  // In a loop: eight copies of what becomes of a row take long to compile.
  let upper = array(upper0, upper4);
  let lower = array(lower0, lower4);
  for (var row = firstRow; row < min(firstRow + PANEL_ROWS, params.rows); row++) {
    let i = row - firstRow;
    let scale = xScales[row / 4u][row % 4u];
    storePanel(row, firstCol, upper[i / 4u][i % 4u] * scale, lower[i / 4u][i % 4u] * scale);
  }
}

/// As sums + outer(rows, columns) of shared/products.wgsl.
fn addOuter(sums: mat4x4h, rows: vec4h, columns: vec4h) -> mat4x4h {
  return mat4x4h(
    fma(rows.xxxx, columns, sums[0]),
    fma(rows.yyyy, columns, sums[1]),
    fma(rows.zzzz, columns, sums[2]),
    fma(rows.wwww, columns, sums[3]),
  );
}

/// K_STEP columns of x, from column firstK and, in vec4, row firstVec. A thread brings the same rows in each round.
fn stageRows(firstVec: u32, firstK: u32, index: u32) {
  let rowVecs = 2u * panelsOf(params.rows);  // vec4 per k
  let vec = min(firstVec + index % ROW_VECS, rowVecs - 1u);
  // 1 / scale: of a power of two it is exact among the bits, where a division need not be.
  let inverse = bitcast<vec4f>(vec4u(0x7f000000u) - bitcast<vec4u>(xScales[vec]));
  for (var i = index; i < K_STEP * ROW_VECS; i += THREADS) {
    let k = firstK + i / ROW_VECS;
    let values = xT[min(k, params.inDim - 1u) * rowVecs + vec] * inverse;
    xTile[i] = vec4h(select(vec4f(0.0), values, k < params.inDim));
  }
}

/// K_STEP columns of TILE_PANELS panels; the columns of one panel lie one after another in `weight`, STRIDE apart in the tile.
fn stagePanels(firstPanel: u32, firstK: u32, index: u32) {
  let lastPanel = panelsOf(params.weightRows) - 1u;
  for (var i = index; i < K_STEP * TILE_PANELS; i += THREADS) {
    let panel = i / K_STEP;
    let inStep = i % K_STEP;
    let k = min(firstK + inStep, params.inDim - 1u);
    let column = panelColumn(min(firstPanel + panel, lastPanel) * params.inDim + k);
    weightTile[inStep * STRIDE + panel] = TileColumn(vec4h(column.upper), vec4h(column.lower));
  }
}
