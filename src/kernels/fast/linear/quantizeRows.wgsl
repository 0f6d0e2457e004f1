// quantizeRows: rows of f32 as 8-bit integers with a scale for each block of 32, for the int8 kernels. The format is Q8_0 of ggml
// (quantize_row_q8_0), with an f32 scale, and with the rows side by side as transposeRows has them.
//
//   scale[block, row] = max|x[row, 32 · block … + 31]| / 127        0 where all are zeros, or nearly
//   quant[k, row]     = round(x[row, k] / scale[k / 32, row])       four k to a word, the first in its lowest byte
//
// One thread per block of a row, neighbours along the rows. Rows past the last one, up to a multiple of PANEL_ROWS, are zeros.

const BLOCK = 32u;
const SMALLEST = 1e-30;  // of a block's largest value: of smaller ones 127 / largest would come near the largest f32

override WORKGROUP_SIZE: u32 = 16u;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;             // [rows, inDim]
@group(0) @binding(1) var<storage, read_write> xQuants: array<u32>;   // [inDim / 4, ceil(rows / PANEL_ROWS) · PANEL_ROWS]
@group(0) @binding(2) var<storage, read_write> xScales: array<f32>;   // [inDim / 32, ceil(rows / PANEL_ROWS) · PANEL_ROWS]
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
  rows: u32,
  inDim: u32,
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let i = flatGroup(group, groups) * WORKGROUP_SIZE + thread;
  let paddedRows = panelsOf(params.rows) * PANEL_ROWS;
  let block = i / paddedRows;
  if (block >= params.inDim / BLOCK) {
    return;
  }
  let row = i % paddedRows;
  let firstWord = block * BLOCK / 4u;
  let start = row * params.inDim / 4u + firstWord;

  var largest = 0.0;
  if (row < params.rows) {
    for (var word = 0u; word < BLOCK / 4u; word++) {
      let four = abs(x[start + word]);
      largest = max(largest, max(max(four.x, four.y), max(four.z, four.w)));
    }
  }
  if (largest < SMALLEST) {
    xScales[i] = 0.0;
    for (var word = 0u; word < BLOCK / 4u; word++) {
      xQuants[(firstWord + word) * paddedRows + row] = 0u;
    }
    return;
  }
  xScales[i] = largest * (1.0 / 127.0);
  let inverse = 127.0 / largest;
  for (var word = 0u; word < BLOCK / 4u; word++) {
    xQuants[(firstWord + word) * paddedRows + row] = pack4xI8(vec4i(round(x[start + word] * inverse)));
  }
}
