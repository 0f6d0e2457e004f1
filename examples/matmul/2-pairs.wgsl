// matmul, step 2: both weights of a word at once.
//
//   out[row, col] = Σ_k x[row, k] · weight[col, k] + bias[col]
//
//            inDim               inDim                outDim
//         ┌─────────┐         ┌─────────┐          ┌─────────┐
//    rows │ ▓▓      │  outDim │ ░░      │     rows │         │    each thread: one value of out (█)
//         │         │         │         │          │  █      │    each step:   two k: one word is two weights (░░),
//         └─────────┘         └─────────┘          └─────────┘                  three loads for two products
//
// Sums are f32: the two products of a step are added first, then added to the sum.

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
  let pieceCol = thread.x;  // within this piece of the weight
  let row = thread.y;
  if (pieceCol >= params.weightRows || row >= params.rows) {
    return;
  }
  let xStart = row * params.inDim;
  let weightStart = pieceCol * params.inDim;

  var sum = 0.0;
  // Rows of odd length may start in the middle of a word, so they are read one k at a time.
  let pairedDim = select(0u, params.inDim, (params.inDim & 1u) == 0u);
  for (var k = 0u; k < pairedDim; k += 2u) {
    let w = weightPair(weightStart + k);
    sum += x[xStart + k] * w.x + x[xStart + k + 1u] * w.y;
  }
  for (var k = pairedDim; k < params.inDim; k++) {
    sum += x[xStart + k] * weightAt(weightStart + k);
  }

  let col = params.weightFirstRow + pieceCol;
  out[row * params.outDim + col] = sum + biasAt(col);
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
