// rmsNorm, a puzzle: every row is divided by its root mean square and scaled by a learned weight.
//
//   out[row, i] = x[row, i] / sqrt(mean(x[row, :]²) + eps) · weight[i]
//
//        dim
//    ┌─────────┐      one workgroup per row:
//    │ ▓▓▓▓▓▓▓ │  1.  each thread strides over the row and sums the squares (▓) of its own columns,
//    │         │  2.  a tree reduction in workgroup memory adds the threads' sums,
//    └─────────┘  3.  the threads stride over the row again and write it.
//      rows
//
// Replace each GAP comment by code. Lines that end in GAP are only there so that the text compiles: replace them too.
//   node examples/puzzles/check.js rmsNorm      shows what is still wrong
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
  // GAP 1: sum the squares of this thread's columns of the row: thread, thread + WORKGROUP_SIZE, …
  let meanSquare = workgroupSum(sumOfSquares, thread) / f32(params.dim);
  // GAP 2: the factor for every value of the row
  let scale = 0.0;  // GAP

  // GAP 3: write this thread's columns of the row
}

fn weightAt(i: u32) -> f32 {
  return unpackWeight(weight[weightWord(i, WEIGHT_DTYPE)], i, WEIGHT_DTYPE);
}
