// l2Normalize: scales every row to length 1.
//
//   out[row, i] = x[row, i] / max(sqrt(Σ x[row, :]²), eps)
//
// One workgroup per row, as in rmsNorm: threads sum squares, a tree adds them, threads write the row.
// Source: modeling_bailing_qwen2_5.py, extract_image_feature (torch.nn.functional.normalize).

override WORKGROUP_SIZE: u32 = 64u;

@group(0) @binding(0) var<storage, read> x: array<f32>;           // [rows, dim]
@group(0) @binding(1) var<storage, read_write> out: array<f32>;   // [rows, dim]
@group(0) @binding(2) var<uniform> params: Params;

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
  for (var i = thread; i < params.dim; i += WORKGROUP_SIZE) {
    let value = x[rowStart + i];
    sumOfSquares += value * value;
  }
  let length = max(sqrt(workgroupSum(sumOfSquares, thread)), params.eps);

  for (var i = thread; i < params.dim; i += WORKGROUP_SIZE) {
    out[rowStart + i] = x[rowStart + i] / length;
  }
}
