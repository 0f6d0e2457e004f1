// gemvPanels: a linear layer on a single row, weights in panels of eight rows (shared/readPanel.wgsl).
//
//   out[col] = Σ_k x[k] · weight[col, k] + bias[col]
//
//               inDim
//           ┌───────────┐      one thread per panel (shared/gemvPanel.wgsl).
//   panel 0 │ t0 ────▸  │      No barrier, no subgroup: it runs everywhere.
//   panel 1 │ t1 ────▸  │
//           └───────────┘
//
// What becomes of the sums: shared/storePanel.wgsl.
// A weight too large for one binding comes in pieces of its panels, i.e. of columns of out.

override WORKGROUP_SIZE: u32 = 16u;
override WEIGHT_DTYPE: u32 = 0u;  // set by the host from the tensors: 0 f32, 1 bf16, 2 f16
override BIAS_DTYPE: u32 = 0u;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;         // [1, inDim]
@group(0) @binding(1) var<storage, read> weight: array<vec4u>;    // [outDim, inDim] in panels, or some of them
@group(0) @binding(2) var<storage, read> bias: array<u32>;        // [outDim]
@group(0) @binding(3) var<storage, read_write> out: array<f32>;   // [1, outDim]; GATE: [1, outDim / 2]
@group(0) @binding(4) var<uniform> params: Params;

struct Params {
  inDim: u32,
  outDim: u32,
  weightFirstRow: u32,
  weightRows: u32,
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let panel = flatGroup(group, groups) * WORKGROUP_SIZE + thread;
  let firstCol = PANEL_ROWS * panel;  // within this piece of the weight
  if (firstCol >= params.weightRows) {
    return;
  }
  let sums = panelProducts(panel);
  storePanel(0u, firstCol, sums.upper, sums.lower);
}
