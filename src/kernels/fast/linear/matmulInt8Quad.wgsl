// matmulInt8Quad: matmulInt8 whose lanes share what they load and unpack, four by four.
//
//   out[row, col] = Σ_block xScale[block, row] · scale[block, col] · Σ_k xQuant[row, k] · quant[col, k] + bias[col]
//
//               8 columns   8 columns
//             ┌───────────┬───────────┐       each thread: 8 rows x 8 columns of out in registers. A quad has two row blocks
//      8 rows │  lane 0   │  lane 1   │       of x and two panels of weights. Each step, four k: a lane loads and unpacks
//             ├───────────┼───────────┤       four of its rows and four of its columns; from the lane beside it (x) it gets
//      8 rows │  lane 2   │  lane 3   │       its other rows, from the one below or above (y) its other columns. Eight words
//             └───────────┴───────────┘       are loaded for 256 products, not sixteen.
//
// Quants are multiplied as f32: a CPU without instructions for 8-bit integers does that sooner, and a block's sum is still exact,
// at most 32 · 127² < 2^24. Sums over blocks are f32. What becomes of them: shared/storePanel.wgsl. Four threads in a row are
// taken to be a quad, as drivers have it.

enable subgroups;
diagnostic(off, subgroup_uniformity);  // all lanes of a quad take part in its exchanges, which the compiler can't see

const BLOCK_WORDS = 8u;

override WORKGROUP_M: u32 = 8u;  // row blocks of a workgroup, a multiple of two
override WORKGROUP_N: u32 = 8u;  // panels of a workgroup, a multiple of two
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

@compute @workgroup_size(2u * WORKGROUP_N, WORKGROUP_M / 2u)
fn main(@builtin(global_invocation_id) thread: vec3u) {
  let quad = vec2u(thread.x / 4u, thread.y);
  if (16u * quad.x >= params.weightRows || 16u * quad.y >= params.rows) {
    return;  // a whole quad
  }
  let right = thread.x % 2u;       // of the lane in its quad
  let below = thread.x / 2u % 2u;
  let firstCol = 8u * (2u * quad.x + right);
  let firstRow = 8u * (2u * quad.y + below);
  // Lanes past the edge repeat the last panel or rows, for their quad, and store nothing.
  let panel = min(firstCol / 8u, (params.weightRows + 7u) / 8u - 1u);
  let rowBlock = min(firstRow / 8u, (params.rows + 7u) / 8u - 1u);
  let blocks = params.words / BLOCK_WORDS;
  let rowVecs = (params.rows + 7u) / 8u * 2u;  // groups of four rows
  let rowVec = 2u * rowBlock + right;          // the four that this lane loads

  var near0 = vec4f(0.0);  // of the rows that this lane loads the first, the columns that it loads
  var far0 = vec4f(0.0);   // the same row, the other four columns
  var near1 = vec4f(0.0);
  var far1 = vec4f(0.0);
  var near2 = vec4f(0.0);
  var far2 = vec4f(0.0);
  var near3 = vec4f(0.0);
  var far3 = vec4f(0.0);
  var near4 = vec4f(0.0);  // of the other rows the first
  var far4 = vec4f(0.0);
  var near5 = vec4f(0.0);
  var far5 = vec4f(0.0);
  var near6 = vec4f(0.0);
  var far6 = vec4f(0.0);
  var near7 = vec4f(0.0);
  var far7 = vec4f(0.0);
  for (var block = 0u; block < blocks; block++) {
    var nearDots0 = vec4f(0.0);
    var farDots0 = vec4f(0.0);
    var nearDots1 = vec4f(0.0);
    var farDots1 = vec4f(0.0);
    var nearDots2 = vec4f(0.0);
    var farDots2 = vec4f(0.0);
    var nearDots3 = vec4f(0.0);
    var farDots3 = vec4f(0.0);
    var nearDots4 = vec4f(0.0);
    var farDots4 = vec4f(0.0);
    var nearDots5 = vec4f(0.0);
    var farDots5 = vec4f(0.0);
    var nearDots6 = vec4f(0.0);
    var farDots6 = vec4f(0.0);
    var nearDots7 = vec4f(0.0);
    var farDots7 = vec4f(0.0);
    for (var word = block * BLOCK_WORDS; word < (block + 1u) * BLOCK_WORDS; word++) {
      let x = unpackQuants(xQuants[word * rowVecs + rowVec]);
      let near = unpackQuants(quants[2u * (panel * params.words + word) + below]);
      let far = mat4x4f(quadSwapY(near[0]), quadSwapY(near[1]), quadSwapY(near[2]), quadSwapY(near[3]));
      let x4 = quadSwapX(x[0]);
      let x5 = quadSwapX(x[1]);
      let x6 = quadSwapX(x[2]);
      let x7 = quadSwapX(x[3]);
      nearDots0 += x[0] * near;
      farDots0 += x[0] * far;
      nearDots1 += x[1] * near;
      farDots1 += x[1] * far;
      nearDots2 += x[2] * near;
      farDots2 += x[2] * far;
      nearDots3 += x[3] * near;
      farDots3 += x[3] * far;
      nearDots4 += x4 * near;
      farDots4 += x4 * far;
      nearDots5 += x5 * near;
      farDots5 += x5 * far;
      nearDots6 += x6 * near;
      farDots6 += x6 * far;
      nearDots7 += x7 * near;
      farDots7 += x7 * far;
    }
    let xScales0to3 = xScales[block * rowVecs + rowVec];
    let xScales4to7 = quadSwapX(xScales0to3);
    let nearScales = scales[2u * (panel * blocks + block) + below];
    let farScales = quadSwapY(nearScales);
    near0 += xScales0to3.x * nearScales * nearDots0;
    far0 += xScales0to3.x * farScales * farDots0;
    near1 += xScales0to3.y * nearScales * nearDots1;
    far1 += xScales0to3.y * farScales * farDots1;
    near2 += xScales0to3.z * nearScales * nearDots2;
    far2 += xScales0to3.z * farScales * farDots2;
    near3 += xScales0to3.w * nearScales * nearDots3;
    far3 += xScales0to3.w * farScales * farDots3;
    near4 += xScales4to7.x * nearScales * nearDots4;
    far4 += xScales4to7.x * farScales * farDots4;
    near5 += xScales4to7.y * nearScales * nearDots5;
    far5 += xScales4to7.y * farScales * farDots5;
    near6 += xScales4to7.z * nearScales * nearDots6;
    far6 += xScales4to7.z * farScales * farDots6;
    near7 += xScales4to7.w * nearScales * nearDots7;
    far7 += xScales4to7.w * farScales * farDots7;
  }

  // In a loop: eight copies of what becomes of a row take long to compile.
  let nears = array(near0, near1, near2, near3, near4, near5, near6, near7);
  let fars = array(far0, far1, far2, far3, far4, far5, far6, far7);
  for (var row = firstRow; row < min(firstRow + 8u, params.rows); row++) {
    let i = (row - firstRow + 4u * right) % 8u;  // the rows that this lane has loaded come first
    let isBelow = below == 1u;
    storePanel(row, firstCol, select(nears[i], fars[i], isBelow), select(fars[i], nears[i], isBelow));
  }
}

/// Four words of four quants: a word becomes a column.
fn unpackQuants(words: vec4u) -> mat4x4f {
  return mat4x4f(
    vec4f(unpack4xI8(words.x)),
    vec4f(unpack4xI8(words.y)),
    vec4f(unpack4xI8(words.z)),
    vec4f(unpack4xI8(words.w)),
  );
}
