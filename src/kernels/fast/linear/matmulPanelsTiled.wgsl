// matmulPanelsTiled: matmulPanels through workgroup memory, for GPUs. Neighbouring threads read neighbouring words, each word once.
//
//   out[row, col] = Σ_k x[row, k] · weight[col, k] + bias[col]
//
//              K_STEP                K_STEP
//            ┌──┬──┬──┐            ┌──┬──┬──┐      a workgroup: 64 rows x 64 columns of out, 8 x 8 of them a thread, in registers;
//   64 rows  │  │▓▓│  │   64 cols  │  │░░│  │      each step: 64 threads bring 16 columns of x (▓, 256 vec4) and of 8 panels (░)
//            │  │▓▓│  │  (8 panels)│  │░░│  │                 into workgroup memory, then every thread multiplies out of it.
//            └──┴──┴──┘            └──┴──┴──┘
//
// Weights lie in the tile as stored, and are unpacked where they are used. Past the edge of x and weight the last rows and panels are
// read again, and their sums not stored; past the last k, x is 0. Sums are f32, in the order of k: see shared/storePanel.wgsl.

const THREADS = 64u;     // 8 along the rows of out x 8 along its columns
const TILE_PANELS = 8u;  // a panel per thread along the columns
const TILE_ROWS = 64u;
const ROW_VECS = TILE_ROWS / 4u;
const K_STEP = 16u;
const STRIDE = TILE_PANELS + 1u;  // of words in weightTile: with 8, the words of one panel would share a bank of workgroup memory

override WEIGHT_DTYPE: u32 = 0u;  // set by the host from the tensors: 0 f32, 1 bf16, 2 f16
override BIAS_DTYPE: u32 = 0u;
override COLUMN_WORDS: u32 = select(1u, 2u, WEIGHT_DTYPE == 0u);  // vec4u per (panel, k): see shared/readPanel.wgsl

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

var<workgroup> xTile: array<vec4f, K_STEP * ROW_VECS>;                       // [K_STEP, ROW_VECS]: 4 KiB
var<workgroup> weightTile: array<vec4u, COLUMN_WORDS * K_STEP * STRIDE>;     // [COLUMN_WORDS · K_STEP, STRIDE]: 2.25 KiB, f32 4.5 KiB

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
    for (var k = 0u; k < K_STEP; k++) {
      let w = tileColumn(k, thread.x);
      let rows0to3 = xTile[k * ROW_VECS + 2u * thread.y];
      let rows4to7 = xTile[k * ROW_VECS + 2u * thread.y + 1u];
      upper0 += outer(rows0to3, w.upper);
      lower0 += outer(rows0to3, w.lower);
      upper4 += outer(rows4to7, w.upper);
      lower4 += outer(rows4to7, w.lower);
    }
    workgroupBarrier();  // before the next step overwrites the tiles
  }

  let firstRow = group.y * TILE_ROWS + PANEL_ROWS * thread.y;
  let firstCol = PANEL_ROWS * (group.x * TILE_PANELS + thread.x);  // within this piece of the weight
  // In a loop: eight copies of what becomes of a row take long to compile.
  let upper = array(upper0, upper4);
  let lower = array(lower0, lower4);
  for (var row = firstRow; row < min(firstRow + PANEL_ROWS, params.rows); row++) {
    let i = row - firstRow;
    storePanel(row, firstCol, upper[i / 4u][i % 4u], lower[i / 4u][i % 4u]);
  }
}

/// K_STEP columns of x, from column firstK and, in vec4, row firstVec.
fn stageRows(firstVec: u32, firstK: u32, index: u32) {
  let rowVecs = 2u * panelsOf(params.rows);  // vec4 per k
  for (var i = index; i < K_STEP * ROW_VECS; i += THREADS) {
    let k = firstK + i / ROW_VECS;
    let vec = min(firstVec + i % ROW_VECS, rowVecs - 1u);
    let values = xT[min(k, params.inDim - 1u) * rowVecs + vec];
    xTile[i] = select(vec4f(0.0), values, k < params.inDim);
  }
}

/// K_STEP columns of TILE_PANELS panels; the words of one panel lie one after another in `weight`, STRIDE apart in the tile.
fn stagePanels(firstPanel: u32, firstK: u32, index: u32) {
  let lastPanel = panelsOf(params.weightRows) - 1u;
  let panelWords = COLUMN_WORDS * params.inDim;
  let stepWords = COLUMN_WORDS * K_STEP;
  for (var i = index; i < stepWords * TILE_PANELS; i += THREADS) {
    let panel = i / stepWords;
    let word = i % stepWords;
    let inPanel = min(COLUMN_WORDS * firstK + word, panelWords - 1u);
    weightTile[word * STRIDE + panel] = weight[min(firstPanel + panel, lastPanel) * panelWords + inPanel];
  }
}

/// As panelColumn of shared/readPanel.wgsl, out of the tile.
fn tileColumn(k: u32, panel: u32) -> PanelColumn {
  let i = k * COLUMN_WORDS * STRIDE + panel;
  if (WEIGHT_DTYPE == 0u) {
    return PanelColumn(bitcast<vec4f>(weightTile[i]), bitcast<vec4f>(weightTile[i + STRIDE]));
  }
  return unpackColumn(weightTile[i]);
}
