// scatterRows: puts the image features in the place of the image patch tokens' embeddings, in place.
//
//   hidden[index[row], i] = features[row, i]
//
// One thread per element of features. Source: modeling_qwen2_5.py, prompt_wrap_vision.

override WORKGROUP_SIZE: u32 = 64u;

@group(0) @binding(0) var<storage, read_write> hidden: array<f32>;   // [tokens, dim]
@group(0) @binding(1) var<storage, read> features: array<f32>;       // [rows, dim]
@group(0) @binding(2) var<storage, read> index: array<u32>;          // [rows]: the token of each feature
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
  rows: u32,
  dim: u32,
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let featureIndex = flatGroup(group, groups) * WORKGROUP_SIZE + thread;
  if (featureIndex >= params.rows * params.dim) {
    return;
  }
  let row = featureIndex / params.dim;
  let column = featureIndex % params.dim;
  hidden[index[row] * params.dim + column] = features[featureIndex];
}
