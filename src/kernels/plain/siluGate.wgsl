// siluGate: the middle of a gated MLP. Gate and up lie side by side, column by column, as their joined matrix makes them.
//
//   out[row, i] = silu(gate) · up,   gate = gateUp[row, 2·i],  up = gateUp[row, 2·i + 1],  silu(g) = g / (1 + exp(-g))
//
// One thread per element of out. Source: modeling_qwen2_5.py, Qwen2MLP; qwen2_5_vit.py, Qwen2_5_VLMLP.

override WORKGROUP_SIZE: u32 = 64u;

@group(0) @binding(0) var<storage, read> gateUp: array<f32>;      // [rows, 2 · dim]
@group(0) @binding(1) var<storage, read_write> out: array<f32>;   // [rows, dim]

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let index = flatGroup(group, groups) * WORKGROUP_SIZE + thread;  // rows need no attention: both tensors are packed
  if (index >= arrayLength(&out)) {
    return;
  }
  let gate = gateUp[2u * index];
  let up = gateUp[2u * index + 1u];
  out[index] = gate / (1.0 + exp(-gate)) * up;
}
