// rowScales: the power of two for each row of x that brings its values to at most 1, where f16 holds them: for matmulPanelsHalf.
//
//   out[row] = 2^⌈log₂ max|x[row, :]|⌉
//
// Not below 2^-126 (of rows of zeros, too) nor above 2^126: 1 / out is a normal f32 then. One workgroup per row; rows past the last
// one, up to a multiple of PANEL_ROWS, are that one, as in transposeRows.

override WORKGROUP_SIZE: u32 = 64u;

@group(0) @binding(0) var<storage, read> x: array<f32>;           // [rows, inDim]
@group(0) @binding(1) var<storage, read_write> out: array<f32>;   // [ceil(rows / PANEL_ROWS) · PANEL_ROWS]
@group(0) @binding(2) var<uniform> params: Params;

struct Params {
  rows: u32,
  inDim: u32,
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let row = flatGroup(group, groups);  // one workgroup per row
  if (row >= panelsOf(params.rows) * PANEL_ROWS) {
    return;
  }
  let rowStart = min(row, params.rows - 1u) * params.inDim;

  var largest = 0.0;
  for (var i = thread; i < params.inDim; i += WORKGROUP_SIZE) {
    largest = max(largest, abs(x[rowStart + i]));
  }
  largest = workgroupMax(largest, thread);

  if (thread == 0u) {
    let exponent = (bitcast<u32>(largest) + 0x7fffffu) >> 23u;  // of the next power of two, unless it is one
    out[row] = bitcast<f32>(clamp(exponent, 1u, 253u) << 23u);
  }
}
