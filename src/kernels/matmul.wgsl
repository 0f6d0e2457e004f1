// matmul: a linear layer on many rows. Weights lie as [outDim, inDim], so both operands are read along inDim.
//
//   out[row, col] = Σ_k x[row, k] · weight[col, k] + bias[col]
//
//            inDim               inDim
//         ┌─────────┐         ┌─────────┐       each thread: a THREAD_M x THREAD_N block of out, in registers;
//    rows │ ▓▓▓▓▓▓▓ │ outDim  │ ░░░░░░░ │       each step:   one k: THREAD_M values of x (▓), THREAD_N of weight (░),
//         │ ▓▓▓▓▓▓▓ │         │ ░░░░░░░ │                    every pair multiplied and added.
//         └─────────┘         └─────────┘
//
// Sums are f32, in the order of k. A weight too large for one binding comes in pieces of rows, i.e. columns of out.

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
  var xStart: array<u32, THREAD_M>;
  for (var m = 0u; m < THREAD_M; m++) {
    xStart[m] = min(firstRow + m, params.rows - 1u) * params.inDim;
  }
  var weightStart: array<u32, THREAD_N>;
  for (var n = 0u; n < THREAD_N; n++) {
    weightStart[n] = min(firstCol + n, params.weightRows - 1u) * params.inDim;
  }

  var acc: array<array<f32, THREAD_N>, THREAD_M>;
  for (var k = 0u; k < params.inDim; k++) {
    var w: array<f32, THREAD_N>;
    for (var n = 0u; n < THREAD_N; n++) {
      w[n] = weightAt(weightStart[n] + k);
    }
    for (var m = 0u; m < THREAD_M; m++) {
      let value = x[xStart[m] + k];
      for (var n = 0u; n < THREAD_N; n++) {
        acc[m][n] += value * w[n];
      }
    }
  }

  for (var n = 0u; n < THREAD_N; n++) {
    let col = params.weightFirstRow + firstCol + n;
    for (var m = 0u; m < THREAD_M; m++) {
      let row = firstRow + m;
      if (row < params.rows && firstCol + n < params.weightRows) {
        out[row * params.outDim + col] = acc[m][n] + biasAt(col);
      }
    }
  }
}

fn weightAt(i: u32) -> f32 {
  return unpackWeight(weight[weightWord(i, WEIGHT_DTYPE)], i, WEIGHT_DTYPE);
}

fn biasAt(i: u32) -> f32 {
  return unpackWeight(bias[weightWord(i, BIAS_DTYPE)], i, BIAS_DTYPE);
}
