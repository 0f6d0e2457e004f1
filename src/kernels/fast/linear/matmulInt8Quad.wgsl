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
  if (2u * PANEL_ROWS * quad.x >= params.weightRows || 2u * PANEL_ROWS * quad.y >= params.rows) {
    return;  // a whole quad
  }
  let right = thread.x % 2u;       // of the lane in its quad
  let below = thread.x / 2u % 2u;
  let firstCol = PANEL_ROWS * (2u * quad.x + right);
  let firstRow = PANEL_ROWS * (2u * quad.y + below);
  // Lanes past the edge repeat the last panel or rows, for their quad, and store nothing.
  let panel = min(firstCol / PANEL_ROWS, panelsOf(params.weightRows) - 1u);
  let rowBlock = min(firstRow / PANEL_ROWS, panelsOf(params.rows) - 1u);
  let blocks = params.words / BLOCK_WORDS;
  let rowVecs = 2u * panelsOf(params.rows);  // groups of four rows
  let rowVec = 2u * rowBlock + right;          // the four that this lane loads

  var near0 = mat4x4f();  // the four rows that this lane loads, the columns that it loads
  var far0 = mat4x4f();   // the same rows, the other four columns
  var near4 = mat4x4f();  // the other four rows
  var far4 = mat4x4f();
  for (var block = 0u; block < blocks; block++) {
    var nearDots0 = mat4x4f();  // as above, of this block alone
    var farDots0 = mat4x4f();
    var nearDots4 = mat4x4f();
    var farDots4 = mat4x4f();
    for (var word = block * BLOCK_WORDS; word < (block + 1u) * BLOCK_WORDS; word++) {
      let rows0to3 = unpackQuants(xQuants[word * rowVecs + rowVec]);
      let near = unpackQuants(quants[2u * (panel * params.words + word) + below]);
      let rows4to7 = fromBeside(rows0to3);
      let far = fromBelow(near);
      nearDots0 += products(rows0to3, near);
      farDots0 += products(rows0to3, far);
      nearDots4 += products(rows4to7, near);
      farDots4 += products(rows4to7, far);
    }
    let xScales0to3 = xScales[block * rowVecs + rowVec];
    let xScales4to7 = quadSwapX(xScales0to3);
    let nearScales = scales[2u * (panel * blocks + block) + below];
    let farScales = quadSwapY(nearScales);
    near0 += scaled(nearDots0, xScales0to3, nearScales);
    far0 += scaled(farDots0, xScales0to3, farScales);
    near4 += scaled(nearDots4, xScales4to7, nearScales);
    far4 += scaled(farDots4, xScales4to7, farScales);
  }

  // In a loop: eight copies of what becomes of a row take long to compile.
  let nears = array(near0, near4);
  let fars = array(far0, far4);
  for (var row = firstRow; row < min(firstRow + PANEL_ROWS, params.rows); row++) {
    let i = (row - firstRow + 4u * right) % PANEL_ROWS;  // the rows that this lane has loaded come first
    let near = nears[i / 4u][i % 4u];
    let far = fars[i / 4u][i % 4u];
    let isBelow = below == 1u;
    storePanel(row, firstCol, select(near, far, isBelow), select(far, near, isBelow));
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

/// What the other lane of the quad's row has loaded.
fn fromBeside(own: mat4x4f) -> mat4x4f {
  return mat4x4f(quadSwapX(own[0]), quadSwapX(own[1]), quadSwapX(own[2]), quadSwapX(own[3]));
}

/// What the other lane of the quad's column has loaded.
fn fromBelow(own: mat4x4f) -> mat4x4f {
  return mat4x4f(quadSwapY(own[0]), quadSwapY(own[1]), quadSwapY(own[2]), quadSwapY(own[3]));
}

fn scaled(sums: mat4x4f, rows: vec4f, columns: vec4f) -> mat4x4f {
  let scales = outer(rows, columns);
  return mat4x4f(scales[0] * sums[0], scales[1] * sums[1], scales[2] * sums[2], scales[3] * sums[3]);
}
