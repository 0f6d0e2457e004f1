// quantizePanels: a weight in panels of eight rows (shared/readPanel.wgsl) as 8-bit integers with a scale for each block of 32
// along a row, for the int8 kernels. The format is Q8_0 of ggml (quantize_row_q8_0), with an f32 scale, eight rows side by side.
//
//   scale[block, row] = max|weight[row, 32 · block … + 31]| / 127      0 where all are zeros, or nearly
//   quant[k, row]     = round(weight[row, k] / scale[k / 32, row])
//
//                  k = 0 1 2 3   4 5 6 7   …
//   panel row 0      │ word 0  │ word 8  │          a word holds four k of one row, the first in its lowest byte;
//             ⋮      │  ⋮      │  ⋮      │          the eight words of a panel's four k lie side by side
//             7      │ word 7  │ word 15 │
//
// One thread per block of a panel. A weight too large for one binding comes in pieces of its panels; the outputs are whole.

const BLOCK = 32u;
const SMALLEST = 1e-30;  // of a block's largest value: of smaller ones 127 / largest would come near the largest f32

override WORKGROUP_SIZE: u32 = 64u;
override WEIGHT_DTYPE: u32 = 0u;  // set by the host from the tensor: 0 f32, 1 bf16, 2 f16

@group(0) @binding(0) var<storage, read> weight: array<vec4u>;          // [outDim, inDim] in panels, or some of them
@group(0) @binding(1) var<storage, read_write> quants: array<u32>;      // [ceil(outDim / 8), inDim / 4, 8]
@group(0) @binding(2) var<storage, read_write> scales: array<vec4f>;    // [ceil(outDim / 8), inDim / 32, 8]
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
  inDim: u32,
  weightFirstRow: u32,
  weightRows: u32,
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let i = flatGroup(group, groups) * WORKGROUP_SIZE + thread;  // panel · blocks + block, within this piece
  let blocks = params.inDim / BLOCK;
  if (i >= panelsOf(params.weightRows) * blocks) {
    return;
  }
  var upper = vec4f(0.0);  // the largest of the panel's rows 0, 1, 2, 3
  var lower = vec4f(0.0);
  for (var k = BLOCK * i; k < BLOCK * i + BLOCK; k++) {
    let w = panelColumn(k);
    upper = max(upper, abs(w.upper));
    lower = max(lower, abs(w.lower));
  }
  let place = params.weightFirstRow / PANEL_ROWS * blocks + i;  // in the whole outputs
  scales[2u * place] = scaleOf(upper);
  scales[2u * place + 1u] = scaleOf(lower);
  let inverseUpper = inverseOf(upper);
  let inverseLower = inverseOf(lower);
  for (var word = 0u; word < BLOCK / 4u; word++) {
    let k = BLOCK * i + 4u * word;
    let w0 = panelColumn(k);
    let w1 = panelColumn(k + 1u);
    let w2 = panelColumn(k + 2u);
    let w3 = panelColumn(k + 3u);
    let upperRows = transpose(mat4x4f(w0.upper, w1.upper, w2.upper, w3.upper));
    let lowerRows = transpose(mat4x4f(w0.lower, w1.lower, w2.lower, w3.lower));
    let first = PANEL_ROWS * (place * BLOCK / 4u + word);
    for (var row = 0u; row < 4u; row++) {
      quants[first + row] = pack4xI8(vec4i(round(upperRows[row] * inverseUpper[row])));
      quants[first + 4u + row] = pack4xI8(vec4i(round(lowerRows[row] * inverseLower[row])));
    }
  }
}

fn scaleOf(largest: vec4f) -> vec4f {
  return select(largest * (1.0 / 127.0), vec4f(0.0), largest < vec4f(SMALLEST));
}

fn inverseOf(largest: vec4f) -> vec4f {
  return select(127.0 / largest, vec4f(0.0), largest < vec4f(SMALLEST));
}
