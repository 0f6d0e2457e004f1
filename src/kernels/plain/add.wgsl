// add: the residual connection, in place.
//
//   hidden[row, i] += delta[row, i]
//
// One thread per element.

override WORKGROUP_SIZE: u32 = 64u;

@group(0) @binding(0) var<storage, read_write> hidden: array<f32>;   // [rows, dim]
@group(0) @binding(1) var<storage, read> delta: array<f32>;          // [rows, dim]

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let index = flatGroup(group, groups) * WORKGROUP_SIZE + thread;
  if (index < arrayLength(&hidden)) {
    hidden[index] += delta[index];
  }
}
