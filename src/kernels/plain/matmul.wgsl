// matmul: a linear layer on many rows. Weights lie as [outDim, inDim], so both operands are read along inDim.
//
//   out[row, col] = Σ_k x[row, k] · weight[col, k] + bias[col]
//
//            inDim               inDim                outDim
//         ┌─────────┐         ┌─────────┐          ┌─────────┐
//    rows │ ▓▓      │  outDim │ ░░      │     rows │         │    each thread: 4 x 4 values of out (█), one vec4 per row
//         │ ▓▓      │         │ ░░      │          │  ████   │    each step:   two k: eight values of x (▓) and four words
//         │ ▓▓      │         │ ░░      │          │  ████   │                  of weights (░), twelve loads for
//         │ ▓▓      │         │ ░░      │          │  ████   │                  32 products
//         │         │         │         │          │  ████   │
//         └─────────┘         └─────────┘          └─────────┘
//
// Sums are f32: two k, as a word holds two 16-bit weights, are added to each other first, then to what came before.
// A weight too large for one binding comes in pieces of its rows, i.e. of columns of out.
// The block is four variables: SwiftShader keeps arrays in memory, and the same loop over an array was 7 times slower there.

const THREAD_M = 4u;  // rows of out per thread
const THREAD_N = 4u;  // columns of out per thread

override WORKGROUP_M: u32 = 4u;  // threads along the rows of out
override WORKGROUP_N: u32 = 16u;  // threads along its columns
override WEIGHT_DTYPE: u32 = 0u;  // set by the host from the tensors: 0 f32, 1 bf16, 2 f16
override BIAS_DTYPE: u32 = 0u;

@group(0) @binding(0) var<storage, read> x: array<f32>;           // [rows, inDim]
@group(0) @binding(1) var<storage, read> weight: array<u32>;      // [outDim, inDim], or rows of it
@group(0) @binding(2) var<storage, read> bias: array<u32>;        // [outDim]
@group(0) @binding(3) var<storage, read_write> out: array<f32>;   // [rows, outDim]
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
  let firstCol = thread.x * THREAD_N;  // within this piece of the weight
  let firstRow = thread.y * THREAD_M;
  if (firstCol >= params.weightRows || firstRow >= params.rows) {
    return;
  }

  // Rows and columns past the edge compute the last one again, and are not stored.
  let xStart = min(firstRow + vec4u(0u, 1u, 2u, 3u), vec4u(params.rows - 1u)) * params.inDim;
  let weightStart = min(firstCol + vec4u(0u, 1u, 2u, 3u), vec4u(params.weightRows - 1u)) * params.inDim;

  var acc0 = vec4f(0.0);  // row firstRow + 0, columns firstCol + 0, 1, 2, 3
  var acc1 = vec4f(0.0);
  var acc2 = vec4f(0.0);
  var acc3 = vec4f(0.0);
  // Rows of odd length start in the middle of a word: they go one k at a time.
  let pairedDim = select(0u, params.inDim, (params.inDim & 1u) == 0u);
  for (var k = 0u; k < pairedDim; k += 2u) {
    let w0 = weightPair(weightStart.x + k);
    let w1 = weightPair(weightStart.y + k);
    let w2 = weightPair(weightStart.z + k);
    let w3 = weightPair(weightStart.w + k);
    let even = vec4f(w0.x, w1.x, w2.x, w3.x);
    let odd = vec4f(w0.y, w1.y, w2.y, w3.y);
    acc0 += x[xStart.x + k] * even + x[xStart.x + k + 1u] * odd;
    acc1 += x[xStart.y + k] * even + x[xStart.y + k + 1u] * odd;
    acc2 += x[xStart.z + k] * even + x[xStart.z + k + 1u] * odd;
    acc3 += x[xStart.w + k] * even + x[xStart.w + k + 1u] * odd;
  }
  for (var k = pairedDim; k < params.inDim; k++) {
    let start = weightStart + k;
    let w = vec4f(weightAt(start.x), weightAt(start.y), weightAt(start.z), weightAt(start.w));
    acc0 += x[xStart.x + k] * w;
    acc1 += x[xStart.y + k] * w;
    acc2 += x[xStart.z + k] * w;
    acc3 += x[xStart.w + k] * w;
  }

  storeRow(firstRow, firstCol, acc0);
  storeRow(firstRow + 1u, firstCol, acc1);
  storeRow(firstRow + 2u, firstCol, acc2);
  storeRow(firstRow + 3u, firstCol, acc3);
}

/// Adds the bias to one row of a thread's block and stores what lies within out.
fn storeRow(row: u32, firstCol: u32, acc: vec4f) {
  for (var n = 0u; n < THREAD_N; n++) {
    if (row < params.rows && firstCol + n < params.weightRows) {
      let col = params.weightFirstRow + firstCol + n;
      out[row * params.outDim + col] = acc[n] + biasAt(col);
    }
  }
}

/// Weights i and i + 1, for an even i: one word, or two of f32.
fn weightPair(i: u32) -> vec2f {
  if (WEIGHT_DTYPE == 0u) {
    return vec2f(weightAt(i), weightAt(i + 1u));
  }
  return unpackPair(weight[i >> 1u], WEIGHT_DTYPE);
}

fn weightAt(i: u32) -> f32 {
  return unpackWeight(weight[weightWord(i, WEIGHT_DTYPE)], i, WEIGHT_DTYPE);
}

fn biasAt(i: u32) -> f32 {
  return unpackWeight(bias[weightWord(i, BIAS_DTYPE)], i, BIAS_DTYPE);
}
