// gemvPanelsNorm: rmsNorm and a linear layer in one, on a single row, weights in panels (shared/readPanel.wgsl).
//
//   out[col] = scale · Σ_k x[k] · weight[col, k] + bias[col]
//   scale    = 1 / sqrt(mean(hidden²) + eps)          x[k] = hidden[k] · gain[k]
//
// Whoever changed hidden last left x, and the sum of squares of each eight values of hidden (gemvPanelsAddScale, scaleForNorm):
// so the norm costs this kernel inDim / 8 additions per thread, and no dispatch of its own.
//
// One thread per panel (shared/gemvPanel.wgsl). What becomes of the sums: shared/storePanel.wgsl.

override WORKGROUP_SIZE: u32 = 16u;
override WEIGHT_DTYPE: u32 = 0u;  // set by the host from the tensors: 0 f32, 1 bf16, 2 f16
override BIAS_DTYPE: u32 = 0u;
override EPILOGUE: u32 = 0u;  // see shared/storePanel.wgsl

@group(0) @binding(0) var<storage, read> x: array<vec4f>;         // [1, inDim]
@group(0) @binding(1) var<storage, read> squares: array<f32>;     // [ceil(inDim / 8)]
@group(0) @binding(2) var<storage, read> weight: array<vec4u>;    // [outDim, inDim] in panels, or some of them
@group(0) @binding(3) var<storage, read> bias: array<u32>;        // [outDim]
@group(0) @binding(4) var<storage, read_write> out: array<f32>;   // [1, outDim]; GATE: [1, outDim / 2]
@group(0) @binding(5) var<uniform> params: Params;

struct Params {
  inDim: u32,
  outDim: u32,
  eps: f32,
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
  let firstCol = 8u * panel;  // within this piece of the weight
  if (firstCol >= params.weightRows) {
    return;
  }
  var sumOfSquares = 0.0;
  for (var i = 0u; i < (params.inDim + 7u) / 8u; i++) {
    sumOfSquares += squares[i];
  }
  let scale = 1.0 / sqrt(sumOfSquares / f32(params.inDim) + params.eps);

  let sums = panelProducts(panel);
  storePanel(0u, firstCol, sums.upper * scale, sums.lower * scale);
}
