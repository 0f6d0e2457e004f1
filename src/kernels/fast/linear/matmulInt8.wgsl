// matmulInt8: a linear layer on many rows, both sides in 8-bit integers with a scale for each block of 32
// (quantizeRows.wgsl, quantizePanels.wgsl).
//
//   out[row, col] = Σ_block xScale[block, row] · scale[block, col] · Σ_k xQuant[row, k] · quant[col, k] + bias[col]
//
//            inDim               inDim
//         ┌─────────┐         ┌─────────┐       each thread: 8 rows x 8 columns of out in registers;
//    rows │ ▓▓▓▓▓▓▓ │ outDim  │ ░░░░░░░ │                    each step: four k, eight words of x (▓) and eight of the panel (░),
//         │ ▓▓▓▓▓▓▓ │         │ ░░░░░░░ │                    256 products by dot4I8Packed.
//         └─────────┘         └─────────┘
//
// A block's sum is exact in i32, and in f32 too: at most 32 · 127². Sums over blocks are f32.
// What becomes of them: shared/storePanel.wgsl.

const BLOCK_WORDS = 8u;

override WORKGROUP_M: u32 = 8u;  // threads along the rows of out
override WORKGROUP_N: u32 = 8u;  // threads along its columns
override BIAS_DTYPE: u32 = 0u;  // set by the host from the tensor: 0 f32, 1 bf16, 2 f16

@group(0) @binding(0) var<storage, read> xQuants: array<vec4u>;   // [words, ceil(rows / 8) · 8]
@group(0) @binding(1) var<storage, read> xScales: array<vec4f>;   // [words / 8, ceil(rows / 8) · 8]
@group(0) @binding(2) var<storage, read> quants: array<vec4u>;    // [ceil(outDim / 8), words, 8]
@group(0) @binding(3) var<storage, read> scales: array<vec4f>;    // [ceil(outDim / 8), words / 8, 8]
@group(0) @binding(4) var<storage, read> bias: array<u32>;        // [outDim]
@group(0) @binding(5) var<storage, read_write> out: array<f32>;   // [rows, outDim]; GATE: [rows, outDim / 2]
@group(0) @binding(6) var<uniform> params: Params;

struct Params {
  rows: u32,
  words: u32,  // inDim / 4
  outDim: u32,
  weightFirstRow: u32,
  weightRows: u32,
}

@compute @workgroup_size(WORKGROUP_N, WORKGROUP_M)
fn main(@builtin(global_invocation_id) thread: vec3u) {
  let firstCol = PANEL_ROWS * thread.x;
  let firstRow = PANEL_ROWS * thread.y;
  if (firstCol >= params.weightRows || firstRow >= params.rows) {
    return;
  }
  let blocks = params.words / BLOCK_WORDS;
  let rowVecs = 2u * panelsOf(params.rows);  // groups of four rows

  var upper0 = mat4x4f();  // rows firstRow + 0, 1, 2, 3, columns firstCol + 0, 1, 2, 3
  var lower0 = mat4x4f();  // the same rows, columns firstCol + 4, 5, 6, 7
  var upper4 = mat4x4f();  // rows firstRow + 4, 5, 6, 7
  var lower4 = mat4x4f();
  for (var block = 0u; block < blocks; block++) {
    var upperDots0 = Dots();  // as above, of this block alone
    var lowerDots0 = Dots();
    var upperDots4 = Dots();
    var lowerDots4 = Dots();
    for (var word = block * BLOCK_WORDS; word < (block + 1u) * BLOCK_WORDS; word++) {
      let rows0to3 = xQuants[word * rowVecs + 2u * thread.y];
      let rows4to7 = xQuants[word * rowVecs + 2u * thread.y + 1u];
      let upper = quants[2u * (thread.x * params.words + word)];
      let lower = quants[2u * (thread.x * params.words + word) + 1u];
      upperDots0 = addDots(upperDots0, rows0to3, upper);
      lowerDots0 = addDots(lowerDots0, rows0to3, lower);
      upperDots4 = addDots(upperDots4, rows4to7, upper);
      lowerDots4 = addDots(lowerDots4, rows4to7, lower);
    }
    let xScales0to3 = xScales[block * rowVecs + 2u * thread.y];
    let xScales4to7 = xScales[block * rowVecs + 2u * thread.y + 1u];
    let upperScales = scales[2u * (thread.x * blocks + block)];
    let lowerScales = scales[2u * (thread.x * blocks + block) + 1u];
    upper0 += scaled(upperDots0, xScales0to3, upperScales);
    lower0 += scaled(lowerDots0, xScales0to3, lowerScales);
    upper4 += scaled(upperDots4, xScales4to7, upperScales);
    lower4 += scaled(lowerDots4, xScales4to7, lowerScales);
  }

  // In a loop: eight copies of what becomes of a row take long to compile.
  let upper = array(upper0, upper4);
  let lower = array(lower0, lower4);
  for (var row = firstRow; row < min(firstRow + PANEL_ROWS, params.rows); row++) {
    let i = row - firstRow;
    storePanel(row, firstCol, upper[i / 4u][i % 4u], lower[i / 4u][i % 4u]);
  }
}

/// Sums of four rows and four columns, as integers.
struct Dots {
  row0: vec4i,
  row1: vec4i,
  row2: vec4i,
  row3: vec4i,
}

/// Adds the products of four k of four rows of x and four k of four columns.
fn addDots(sums: Dots, x: vec4u, w: vec4u) -> Dots {
  return Dots(sums.row0 + dots(x.x, w), sums.row1 + dots(x.y, w), sums.row2 + dots(x.z, w), sums.row3 + dots(x.w, w));
}

fn dots(x: u32, w: vec4u) -> vec4i {
  return vec4i(dot4I8Packed(x, w.x), dot4I8Packed(x, w.y), dot4I8Packed(x, w.z), dot4I8Packed(x, w.w));
}

fn scaled(sums: Dots, rows: vec4f, columns: vec4f) -> mat4x4f {
  return mat4x4f(
    rows.x * columns * vec4f(sums.row0),
    rows.y * columns * vec4f(sums.row1),
    rows.z * columns * vec4f(sums.row2),
    rows.w * columns * vec4f(sums.row3),
  );
}
