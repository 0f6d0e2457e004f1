// transposeRows: writes the rows of x side by side, four of them to a vec4, as matmulPanels reads them.
//
//   out[k, row] = x[row, k],   rows filled up to a multiple of PANEL_ROWS with the last one
//
// One thread per block of four rows and four k: four loads, four stores.

override WORKGROUP_SIZE: u32 = 64u;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;           // [rows, inDim]
@group(0) @binding(1) var<storage, read_write> out: array<vec4f>;   // [inDim, ceil(rows / PANEL_ROWS) · PANEL_ROWS]
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
  let block = flatGroup(group, groups) * WORKGROUP_SIZE + thread;
  let rowBlocks = panelsOf(params.rows) * PANEL_ROWS / 4u;
  let k = block / rowBlocks * 4u;
  if (k >= params.inDim) {
    return;
  }
  let rowBlock = block % rowBlocks;
  let row0 = fourOf(4u * rowBlock, k);
  let row1 = fourOf(4u * rowBlock + 1u, k);
  let row2 = fourOf(4u * rowBlock + 2u, k);
  let row3 = fourOf(4u * rowBlock + 3u, k);
  store(k, rowBlock, rowBlocks, vec4f(row0.x, row1.x, row2.x, row3.x));
  store(k + 1u, rowBlock, rowBlocks, vec4f(row0.y, row1.y, row2.y, row3.y));
  store(k + 2u, rowBlock, rowBlocks, vec4f(row0.z, row1.z, row2.z, row3.z));
  store(k + 3u, rowBlock, rowBlocks, vec4f(row0.w, row1.w, row2.w, row3.w));
}

/// x[row, k … k + 3]. Rows past the last one are that one; columns past a row's end are anything.
fn fourOf(row: u32, k: u32) -> vec4f {
  let i = min(row, params.rows - 1u) * params.inDim + k;
  if (params.inDim % 4u == 0u) {
    return x[i / 4u];
  }
  return vec4f(valueAt(i), valueAt(i + 1u), valueAt(i + 2u), valueAt(i + 3u));
}

fn valueAt(i: u32) -> f32 {
  let inside = min(i, params.rows * params.inDim - 1u);
  return x[inside / 4u][inside % 4u];
}

fn store(k: u32, rowBlock: u32, rowBlocks: u32, values: vec4f) {
  if (k < params.inDim) {
    out[k * rowBlocks + rowBlock] = values;
  }
}
