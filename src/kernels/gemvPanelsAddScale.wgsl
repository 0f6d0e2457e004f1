// gemvPanelsAddScale: gemvPanelsAdd that also prepares the next norm, on a single row.
//
//   hidden[col] += Σ_k x[k] · weight[col, k] + bias[col]          the residual connection
//   scaled[col]  = hidden[col] · gain[col]                        what gemvPanelsNorm multiplies
//   squares[p]   = Σ hidden[8p … 8p + 7]²                         what it takes the norm's scale from
//
// One thread per panel (shared/gemvPanel.wgsl), and thus per eight values of hidden.

override WORKGROUP_SIZE: u32 = 16u;
override WEIGHT_DTYPE: u32 = 0u;  // set by the host from the tensors: 0 f32, 1 bf16, 2 f16
override BIAS_DTYPE: u32 = 0u;
override GAIN_DTYPE: u32 = 0u;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;             // [1, inDim]
@group(0) @binding(1) var<storage, read> weight: array<vec4u>;        // [outDim, inDim] in panels, or some of them
@group(0) @binding(2) var<storage, read> bias: array<u32>;            // [outDim]
@group(0) @binding(3) var<storage, read> gain: array<u32>;            // [outDim]: the norm's weight
@group(0) @binding(4) var<storage, read_write> hidden: array<f32>;    // [1, outDim]
@group(0) @binding(5) var<storage, read_write> scaled: array<f32>;    // [1, outDim]
@group(0) @binding(6) var<storage, read_write> squares: array<f32>;   // [ceil(outDim / 8)]
@group(0) @binding(7) var<uniform> params: Params;

struct Params {
  inDim: u32,
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
  let sums = panelProducts(panel);
  let sumOfSquares = addFour(firstCol, sums.upper) + addFour(firstCol + 4u, sums.lower);
  squares[params.weightFirstRow / 8u + panel] = sumOfSquares;
}

/// Adds four sums to hidden, scales them for the norm, and returns the sum of the new squares.
fn addFour(firstCol: u32, sums: vec4f) -> f32 {
  var sumOfSquares = 0.0;
  for (var n = 0u; n < 4u; n++) {
    if (firstCol + n < params.weightRows) {
      let col = params.weightFirstRow + firstCol + n;
      let value = hidden[col] + (sums[n] + biasAt(col));
      hidden[col] = value;
      scaled[col] = value * gainAt(col);
      sumOfSquares += value * value;
    }
  }
  return sumOfSquares;
}

fn biasAt(i: u32) -> f32 {
  return unpackWeight(bias[weightWord(i, BIAS_DTYPE)], i, BIAS_DTYPE);
}

fn gainAt(i: u32) -> f32 {
  return unpackWeight(gain[weightWord(i, GAIN_DTYPE)], i, GAIN_DTYPE);
}
