// matmul, step 1: one thread for each value of out.
//
//   out[row, col] = Σ_k x[row, k] · weight[col, k] + bias[col]
//
//            inDim               inDim                outDim
//         ┌─────────┐         ┌─────────┐          ┌─────────┐
//    rows │ ▓       │  outDim │ ░       │     rows │         │    each thread: one value of out (█)
//         │         │         │         │          │  █      │    each step:   one k: one value of x (▓) times one
//         └─────────┘         └─────────┘          └─────────┘                  weight (░), two loads for one product
//
// Sums are f32, in the order of k.

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
  for (var k = 0u; k < params.inDim; k++) {
    sum += x[xStart + k] * weightAt(weightStart + k);
  }

  let col = params.weightFirstRow + pieceCol;
  out[row * params.outDim + col] = sum + biasAt(col);
}

fn weightAt(i: u32) -> f32 {
  return unpackWeight(weight[weightWord(i, WEIGHT_DTYPE)], i, WEIGHT_DTYPE);
}

fn biasAt(i: u32) -> f32 {
  return unpackWeight(bias[weightWord(i, BIAS_DTYPE)], i, BIAS_DTYPE);
}
