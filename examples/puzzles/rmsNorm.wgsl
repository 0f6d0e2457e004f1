// rmsNorm, a puzzle: every row is divided by its root mean square and scaled by a learned weight.
//
//   out[row, i] = x[row, i] / sqrt(mean(x[row, :]²) + eps) · weight[i]
//
//        dim
//    ┌─────────┐      one workgroup per row:
//    │ ▓▓▓▓▓▓▓ │  1.  its threads stride over the row and sum the squares (▓), each its own columns,
//    │         │  2.  a tree in workgroup memory adds the threads' sums,
//    └─────────┘  3.  the threads stride over the row again and write it.
//      rows
//
// Put code in the place of each GAP, comment and all; a line that ends in GAP only keeps the text compiling, and goes too.
//   node examples/puzzles/check.js rmsNorm      says what is still wrong
// workgroupSum, flatGroup, unpackWeight and weightWord are in src/kernels/shared. The solution is src/kernels/plain/rmsNorm.wgsl.

override WORKGROUP_SIZE: u32 = 64u;
override WEIGHT_DTYPE: u32 = 0u;  // set by the host from the tensor: 0 f32, 1 bf16, 2 f16

@group(0) @binding(0) var<storage, read> x: array<f32>;           // [rows, dim]
@group(0) @binding(1) var<storage, read> weight: array<u32>;      // [dim]
@group(0) @binding(2) var<storage, read_write> out: array<f32>;   // [rows, dim]
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
  rows: u32,
  dim: u32,
  eps: f32,
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let row = flatGroup(group, groups);  // one workgroup per row
  if (row >= params.rows) {            // a folded grid has a few workgroups too many; they leave together
    return;
  }
  let rowStart = row * params.dim;

  var sumOfSquares = 0.0;
  // GAP 1: add up the squares of this thread's columns of the row: thread, thread + WORKGROUP_SIZE, …
  let meanSquare = workgroupSum(sumOfSquares, thread) / f32(params.dim);
  // GAP 2: the number that every value of the row is multiplied by
  let scale = 0.0;  // GAP

  // GAP 3: write this thread's columns of the row
}

fn weightAt(i: u32) -> f32 {
  return unpackWeight(weight[weightWord(i, WEIGHT_DTYPE)], i, WEIGHT_DTYPE);
}
