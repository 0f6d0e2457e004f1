// gemvPanelsSubgroup: a linear layer on a single row, weights in panels of eight rows (shared/readPanel.wgsl), with subgroups.
//
//   out[col] = Σ_k x[k] · weight[col, k] + bias[col]
//
//                k = 0   1   2   3   …
//             ┌────────────────────────┐      one subgroup per two panels, lanes along k: neighbouring lanes read
//     panel 0 │ lane 0   1   2   3   … │      neighbouring words, and a value of x serves sixteen weights.
//     panel 1 │ lane 0   1   2   3   … │      At the end the lanes' sums are added by subgroupAdd.
//             └────────────────────────┘
//
// Sums are f32, one per lane in the order of k. What becomes of them: shared/storePanel.wgsl.
// Lane i of a subgroup is taken to be thread i of SUBGROUP_SIZE in a row, as all drivers have it.

enable subgroups;
diagnostic(off, subgroup_uniformity);  // a subgroup's panels are the same for all of its lanes, which the compiler can't see

override WORKGROUP_SIZE: u32 = 64u;
override SUBGROUP_SIZE: u32 = 32u;  // set by the host from the adapter
override WEIGHT_DTYPE: u32 = 0u;  // set by the host from the tensors: 0 f32, 1 bf16, 2 f16
override BIAS_DTYPE: u32 = 0u;

@group(0) @binding(0) var<storage, read> x: array<f32>;           // [1, inDim]
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
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let subgroup = flatGroup(group, groups) * (WORKGROUP_SIZE / SUBGROUP_SIZE) + thread / SUBGROUP_SIZE;
  let firstCol = 2u * PANEL_ROWS * subgroup;  // within this piece of the weight
  let lastPanel = panelsOf(params.weightRows) - 1u;
  let start0 = min(2u * subgroup, lastPanel) * params.inDim;  // past the edge the last panel is summed again, and not stored
  let start1 = min(2u * subgroup + 1u, lastPanel) * params.inDim;

  var upper0 = vec4f(0.0);  // columns firstCol + 0, 1, 2, 3 of out
  var lower0 = vec4f(0.0);
  var upper1 = vec4f(0.0);
  var lower1 = vec4f(0.0);
  for (var k = lane; k < params.inDim; k += SUBGROUP_SIZE) {
    let value = x[k];
    let w0 = panelColumn(start0 + k);
    let w1 = panelColumn(start1 + k);
    upper0 += value * w0.upper;
    lower0 += value * w0.lower;
    upper1 += value * w1.upper;
    lower1 += value * w1.lower;
  }
  upper0 = subgroupAdd(upper0);
  lower0 = subgroupAdd(lower0);
  upper1 = subgroupAdd(upper1);
  lower1 = subgroupAdd(lower1);

  if (lane == 0u) {
    storePanel(0u, firstCol, upper0, lower0);
    storePanel(0u, firstCol + PANEL_ROWS, upper1, lower1);
  }
}
