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
override EPILOGUE: u32 = 0u;  // see shared/storePanel.wgsl

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
  let firstCol = 8u * thread.x;
  let firstRow = 8u * thread.y;
  if (firstCol >= params.weightRows || firstRow >= params.rows) {
    return;
  }
  let blocks = params.words / BLOCK_WORDS;
  let rowVecs = (params.rows + 7u) / 8u * 2u;  // groups of four rows

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
  for (var block = 0u; block < blocks; block++) {
    var upperDots0 = vec4i(0);
    var lowerDots0 = vec4i(0);
    var upperDots1 = vec4i(0);
    var lowerDots1 = vec4i(0);
    var upperDots2 = vec4i(0);
    var lowerDots2 = vec4i(0);
    var upperDots3 = vec4i(0);
    var lowerDots3 = vec4i(0);
    var upperDots4 = vec4i(0);
    var lowerDots4 = vec4i(0);
    var upperDots5 = vec4i(0);
    var lowerDots5 = vec4i(0);
    var upperDots6 = vec4i(0);
    var lowerDots6 = vec4i(0);
    var upperDots7 = vec4i(0);
    var lowerDots7 = vec4i(0);
    for (var word = block * BLOCK_WORDS; word < (block + 1u) * BLOCK_WORDS; word++) {
      let rows0to3 = xQuants[word * rowVecs + 2u * thread.y];
      let rows4to7 = xQuants[word * rowVecs + 2u * thread.y + 1u];
      let upper = quants[2u * (thread.x * params.words + word)];
      let lower = quants[2u * (thread.x * params.words + word) + 1u];
      upperDots0 += dots(rows0to3.x, upper);
      lowerDots0 += dots(rows0to3.x, lower);
      upperDots1 += dots(rows0to3.y, upper);
      lowerDots1 += dots(rows0to3.y, lower);
      upperDots2 += dots(rows0to3.z, upper);
      lowerDots2 += dots(rows0to3.z, lower);
      upperDots3 += dots(rows0to3.w, upper);
      lowerDots3 += dots(rows0to3.w, lower);
      upperDots4 += dots(rows4to7.x, upper);
      lowerDots4 += dots(rows4to7.x, lower);
      upperDots5 += dots(rows4to7.y, upper);
      lowerDots5 += dots(rows4to7.y, lower);
      upperDots6 += dots(rows4to7.z, upper);
      lowerDots6 += dots(rows4to7.z, lower);
      upperDots7 += dots(rows4to7.w, upper);
      lowerDots7 += dots(rows4to7.w, lower);
    }
    let xScales0to3 = xScales[block * rowVecs + 2u * thread.y];
    let xScales4to7 = xScales[block * rowVecs + 2u * thread.y + 1u];
    let upperScales = scales[2u * (thread.x * blocks + block)];
    let lowerScales = scales[2u * (thread.x * blocks + block) + 1u];
    upper0 += xScales0to3.x * upperScales * vec4f(upperDots0);
    lower0 += xScales0to3.x * lowerScales * vec4f(lowerDots0);
    upper1 += xScales0to3.y * upperScales * vec4f(upperDots1);
    lower1 += xScales0to3.y * lowerScales * vec4f(lowerDots1);
    upper2 += xScales0to3.z * upperScales * vec4f(upperDots2);
    lower2 += xScales0to3.z * lowerScales * vec4f(lowerDots2);
    upper3 += xScales0to3.w * upperScales * vec4f(upperDots3);
    lower3 += xScales0to3.w * lowerScales * vec4f(lowerDots3);
    upper4 += xScales4to7.x * upperScales * vec4f(upperDots4);
    lower4 += xScales4to7.x * lowerScales * vec4f(lowerDots4);
    upper5 += xScales4to7.y * upperScales * vec4f(upperDots5);
    lower5 += xScales4to7.y * lowerScales * vec4f(lowerDots5);
    upper6 += xScales4to7.z * upperScales * vec4f(upperDots6);
    lower6 += xScales4to7.z * lowerScales * vec4f(lowerDots6);
    upper7 += xScales4to7.w * upperScales * vec4f(upperDots7);
    lower7 += xScales4to7.w * lowerScales * vec4f(lowerDots7);
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

/// Of four k of one row of x and four k of four columns.
fn dots(x: u32, w: vec4u) -> vec4i {
  return vec4i(dot4I8Packed(x, w.x), dot4I8Packed(x, w.y), dot4I8Packed(x, w.z), dot4I8Packed(x, w.w));
}
