// matmul, step 5: the block of step 3, computed from tiles that a workgroup shares.
//
//   out[row, col] = Σ_k x[row, k] · weight[col, k] + bias[col]
//
//            inDim               inDim                outDim
//         ┌─────────┐         ┌─────────┐          ┌─────────┐    each workgroup: TILE x TILE values of out (·)
//    rows │         │  outDim │         │     rows │         │    each thread:    4 x 4 of them (█), in registers
//         │▓▓▓▓     │    TILE │░░░░     │     TILE │  █ · ·  │    each step:      TILE_K columns of x (▓) and of weight (░)
//         │▓▓▓▓     │         │░░░░     │          │  · · ·  │                    to workgroup memory, a barrier, the
//         └─────────┘         └─────────┘          └─────────┘                    products, a barrier
//          TILE_K              TILE_K
//
// Sums are f32, in the order of k. A tile's columns past inDim are zeros.

const THREADS = 8u;       // along the rows, and along the columns of a workgroup's block
const TILE = 32u;         // 4 · THREADS: rows, and columns, of that block
const TILE_K = 16u;

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

var<workgroup> xTile: array<vec4f, TILE_K * THREADS>;       // [TILE_K, TILE], four rows to a vec4: 2 KiB
var<workgroup> weightTile: array<vec4f, TILE_K * THREADS>;  // the same of weight

@compute @workgroup_size(THREADS, THREADS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) thread: vec3u,
  @builtin(local_invocation_index) threadIndex: u32,
) {
  let groupCol = group.x * TILE;  // within this piece of the weight
  let groupRow = group.y * TILE;

  var acc0 = vec4f(0.0);  // row firstRow + 0, columns firstCol + 0, 1, 2, 3
  var acc1 = vec4f(0.0);
  var acc2 = vec4f(0.0);
  var acc3 = vec4f(0.0);
  for (var tileK = 0u; tileK < params.inDim; tileK += TILE_K) {
    for (var slot = threadIndex; slot < TILE_K * THREADS; slot += THREADS * THREADS) {
      let k = slot % TILE_K;  // neighbours read neighbours of a row
      let four = slot / TILE_K;
      xTile[k * THREADS + four] = fourOfX(groupRow + 4u * four, tileK + k);
      weightTile[k * THREADS + four] = fourOfWeight(groupCol + 4u * four, tileK + k);
    }
    workgroupBarrier();
    for (var k = 0u; k < TILE_K; k++) {
      let rows = xTile[k * THREADS + thread.y];
      let w = weightTile[k * THREADS + thread.x];
      acc0 += rows.x * w;
      acc1 += rows.y * w;
      acc2 += rows.z * w;
      acc3 += rows.w * w;
    }
    workgroupBarrier();  // the next step writes the tiles again
  }

  let firstRow = groupRow + 4u * thread.y;
  let firstCol = groupCol + 4u * thread.x;
  storeRow(firstRow, firstCol, acc0);
  storeRow(firstRow + 1u, firstCol, acc1);
  storeRow(firstRow + 2u, firstCol, acc2);
  storeRow(firstRow + 3u, firstCol, acc3);
}

/// Four rows of column k of x. Rows past the edge repeat the last one, and are not stored.
fn fourOfX(firstRow: u32, k: u32) -> vec4f {
  if (k >= params.inDim) {
    return vec4f(0.0);
  }
  let i = min(firstRow + vec4u(0u, 1u, 2u, 3u), vec4u(params.rows - 1u)) * params.inDim + k;
  return vec4f(x[i.x], x[i.y], x[i.z], x[i.w]);
}

/// The same for weight.
fn fourOfWeight(firstCol: u32, k: u32) -> vec4f {
  if (k >= params.inDim) {
    return vec4f(0.0);
  }
  let i = min(firstCol + vec4u(0u, 1u, 2u, 3u), vec4u(params.weightRows - 1u)) * params.inDim + k;
  return vec4f(weightAt(i.x), weightAt(i.y), weightAt(i.z), weightAt(i.w));
}

/// Adds the bias to one row of a thread's block and stores the values that are inside out.
fn storeRow(row: u32, firstCol: u32, acc: vec4f) {
  for (var n = 0u; n < 4u; n++) {
    if (row < params.rows && firstCol + n < params.weightRows) {
      let col = params.weightFirstRow + firstCol + n;
      out[row * params.outDim + col] = acc[n] + biasAt(col);
    }
  }
}

fn weightAt(i: u32) -> f32 {
  return unpackWeight(weight[weightWord(i, WEIGHT_DTYPE)], i, WEIGHT_DTYPE);
}

fn biasAt(i: u32) -> f32 {
  return unpackWeight(bias[weightWord(i, BIAS_DTYPE)], i, BIAS_DTYPE);
}
