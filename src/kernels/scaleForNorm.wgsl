// scaleForNorm: prepares the first norm for gemvPanelsNorm; gemvPanelsAddScale does it for the later ones. A single row.
//
//   scaled[i]  = hidden[i] · gain[i]
//   squares[p] = Σ hidden[8p … 8p + 7]²
//
// One thread per eight values.

override WORKGROUP_SIZE: u32 = 16u;
override GAIN_DTYPE: u32 = 0u;  // set by the host from the tensor: 0 f32, 1 bf16, 2 f16

@group(0) @binding(0) var<storage, read> hidden: array<f32>;          // [1, dim]
@group(0) @binding(1) var<storage, read> gain: array<u32>;            // [dim]: the norm's weight
@group(0) @binding(2) var<storage, read_write> scaled: array<f32>;    // [1, dim]
@group(0) @binding(3) var<storage, read_write> squares: array<f32>;   // [ceil(dim / 8)]
@group(0) @binding(4) var<uniform> params: Params;

struct Params {
  dim: u32,
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let eight = flatGroup(group, groups) * WORKGROUP_SIZE + thread;
  if (8u * eight >= params.dim) {
    return;
  }
  var sumOfSquares = 0.0;
  for (var i = 8u * eight; i < min(8u * eight + 8u, params.dim); i++) {
    let value = hidden[i];
    scaled[i] = value * unpackWeight(gain[weightWord(i, GAIN_DTYPE)], i, GAIN_DTYPE);
    sumOfSquares += value * value;
  }
  squares[eight] = sumOfSquares;
}
