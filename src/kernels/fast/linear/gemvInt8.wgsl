// gemvInt8: a linear layer on a single row, both sides in 8-bit integers with a scale for each block of 32
// (quantizeRows.wgsl, quantizePanels.wgsl).
//
//   out[col] = Σ_block xScale[block] · scale[block, col] · Σ_k xQuant[k] · quant[k, col] + bias[col]
//
//               inDim
//           ┌───────────┐      one thread per panel of eight columns; each step: one word of x and the panel's eight,
//   panel 0 │ t0 ────▸  │      32 products by dot4I8Packed.
//   panel 1 │ t1 ────▸  │      No barrier, no subgroup: it runs everywhere.
//           └───────────┘
//
// A block's sum is exact in i32, and in f32 too: at most 32 · 127². Sums over blocks are f32.
// What becomes of them: shared/storePanel.wgsl.

const BLOCK_WORDS = 8u;

override WORKGROUP_SIZE: u32 = 16u;
override BIAS_DTYPE: u32 = 0u;  // set by the host from the tensor: 0 f32, 1 bf16, 2 f16

@group(0) @binding(0) var<storage, read> xQuants: array<u32>;     // [words, PANEL_ROWS]
@group(0) @binding(1) var<storage, read> xScales: array<f32>;     // [words / 8, PANEL_ROWS]
@group(0) @binding(2) var<storage, read> quants: array<vec4u>;    // [ceil(outDim / 8), words, 8]
@group(0) @binding(3) var<storage, read> scales: array<vec4f>;    // [ceil(outDim / 8), words / 8, 8]
@group(0) @binding(4) var<storage, read> bias: array<u32>;        // [outDim]
@group(0) @binding(5) var<storage, read_write> out: array<f32>;   // [1, outDim]; GATE: [1, outDim / 2]
@group(0) @binding(6) var<uniform> params: Params;

struct Params {
  words: u32,  // inDim / 4
  outDim: u32,
  weightFirstRow: u32,
  weightRows: u32,
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let panel = flatGroup(group, groups) * WORKGROUP_SIZE + thread;
  let firstCol = PANEL_ROWS * panel;
  if (firstCol >= params.weightRows) {
    return;
  }
  let blocks = params.words / BLOCK_WORDS;
  var upper = vec4f(0.0);  // columns firstCol + 0, 1, 2, 3
  var lower = vec4f(0.0);  // columns firstCol + 4, 5, 6, 7
  for (var block = 0u; block < blocks; block++) {
    var upperDots = vec4i(0);
    var lowerDots = vec4i(0);
    for (var word = block * BLOCK_WORDS; word < (block + 1u) * BLOCK_WORDS; word++) {
      let x = xQuants[word * PANEL_ROWS];
      let first = 2u * (panel * params.words + word);
      upperDots += dots(x, quants[first]);
      lowerDots += dots(x, quants[first + 1u]);
    }
    let xScale = xScales[block * PANEL_ROWS];
    let place = 2u * (panel * blocks + block);
    upper += xScale * scales[place] * vec4f(upperDots);
    lower += xScale * scales[place + 1u] * vec4f(lowerDots);
  }
  storePanel(0u, firstCol, upper, lower);
}

/// Of four k of x and four k of four rows of the panel.
fn dots(x: u32, w: vec4u) -> vec4i {
  return vec4i(dot4I8Packed(x, w.x), dot4I8Packed(x, w.y), dot4I8Packed(x, w.z), dot4I8Packed(x, w.w));
}
