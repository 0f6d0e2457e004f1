// gelu: the Gaussian error linear unit in its exact form (not the tanh approximation, which fails parity).
//
//   out[row, i] = x · Φ(x) = x/2 · (1 + erf(x / √2))
//
// One thread per element; the function itself: shared/erf.wgsl. Source: "Gaussian Error Linear Units" (Hendrycks, Gimpel 2016).

override WORKGROUP_SIZE: u32 = 64u;

@group(0) @binding(0) var<storage, read> x: array<f32>;           // [rows, dim]
@group(0) @binding(1) var<storage, read_write> out: array<f32>;   // [rows, dim]

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let index = flatGroup(group, groups) * WORKGROUP_SIZE + thread;
  if (index >= arrayLength(&out)) {
    return;
  }
  out[index] = gelu(x[index]);
}
