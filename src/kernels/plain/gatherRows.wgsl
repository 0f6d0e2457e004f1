// gatherRows: takes rows in a given order. It reorders patches window by window, puts them back (with the inverse order),
// and picks the last token's row for the logits.
//
//   out[row, i] = x[index[row], i]
//
// One thread per element of out.

override WORKGROUP_SIZE: u32 = 64u;

@group(0) @binding(0) var<storage, read> x: array<f32>;           // [rows, dim]
@group(0) @binding(1) var<storage, read> index: array<u32>;       // [outRows]
@group(0) @binding(2) var<storage, read_write> out: array<f32>;   // [outRows, dim]
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
  dim: u32,
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let outIndex = flatGroup(group, groups) * WORKGROUP_SIZE + thread;
  if (outIndex >= arrayLength(&out)) {
    return;
  }
  let row = outIndex / params.dim;
  let column = outIndex % params.dim;
  out[outIndex] = x[index[row] * params.dim + column];
}
