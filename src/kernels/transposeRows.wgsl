// transposeRows: writes the rows of x side by side, four of them to a vec4, as matmulPanels reads them.
//
//   out[k, row] = x[row, k],   rows filled up to a multiple of ROW_STEP with the last one
//
// One thread per value of out, neighbours along the rows.

const ROW_STEP = 8u;

override WORKGROUP_SIZE: u32 = 64u;

@group(0) @binding(0) var<storage, read> x: array<f32>;           // [rows, inDim]
@group(0) @binding(1) var<storage, read_write> out: array<f32>;   // [inDim, ceil(rows / ROW_STEP) · ROW_STEP]
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
  let i = flatGroup(group, groups) * WORKGROUP_SIZE + thread;
  let paddedRows = (params.rows + ROW_STEP - 1u) / ROW_STEP * ROW_STEP;
  let k = i / paddedRows;
  if (k >= params.inDim) {
    return;
  }
  out[i] = x[min(i % paddedRows, params.rows - 1u) * params.inDim + k];
}
