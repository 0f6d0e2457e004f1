// gemv: a linear layer on a single row, as decoding needs it. Every weight is read once, so reading is all that counts.
//
//   out[col] = Σ_k x[k] · weight[col, k] + bias[col]
//
//              inDim
//          ┌───────────┐      one thread per row of the weight, eight columns a step:
//   outDim │ t0 ────▸  │      four words of 16-bit weights are in flight at once,
//          │ t1 ────▸  │      and no thread waits for another.
//          └───────────┘
//
// Sums are f32: four of them, over k = 0 and 1, 2 and 3, 4 and 5, 6 and 7 (mod 8), added at the end.
// Measured beside a workgroup per row with a tree of barriers: 40 times faster on SwiftShader, where barriers are dear.

override WORKGROUP_SIZE: u32 = 64u;
override WEIGHT_DTYPE: u32 = 0u;  // set by the host from the tensors: 0 f32, 1 bf16, 2 f16
override BIAS_DTYPE: u32 = 0u;

@group(0) @binding(0) var<storage, read> x: array<f32>;           // [1, inDim]
@group(0) @binding(1) var<storage, read> weight: array<u32>;      // [outDim, inDim], or rows of it
@group(0) @binding(2) var<storage, read> bias: array<u32>;        // [outDim]
@group(0) @binding(3) var<storage, read_write> out: array<f32>;   // [1, outDim]
@group(0) @binding(4) var<uniform> params: Params;

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
  let row = flatGroup(group, groups) * WORKGROUP_SIZE + thread;  // of this piece of the weight
  if (row >= params.weightRows) {
    return;
  }
  let rowStart = row * params.inDim;

  var sums = vec4f(0.0);
  // Rows of odd length start in the middle of a word: they go one column at a time.
  let wholeSteps = select(0u, params.inDim & ~7u, (params.inDim & 1u) == 0u);
  for (var k = 0u; k < wholeSteps; k += 8u) {
    sums.x += dot(xPair(k), weightPair(rowStart + k));
    sums.y += dot(xPair(k + 2u), weightPair(rowStart + k + 2u));
    sums.z += dot(xPair(k + 4u), weightPair(rowStart + k + 4u));
    sums.w += dot(xPair(k + 6u), weightPair(rowStart + k + 6u));
  }
  for (var k = wholeSteps; k < params.inDim; k++) {
    sums.x += x[k] * weightAt(rowStart + k);
  }

  let col = params.weightFirstRow + row;
  out[col] = sums.x + sums.y + sums.z + sums.w + biasAt(col);
}

fn xPair(k: u32) -> vec2f {
  return vec2f(x[k], x[k + 1u]);
}

/// Weights i and i + 1, for an even i: one word, or two of f32.
fn weightPair(i: u32) -> vec2f {
  if (WEIGHT_DTYPE == 0u) {
    return vec2f(weightAt(i), weightAt(i + 1u));
  }
  return unpackPair(weight[i >> 1u], WEIGHT_DTYPE);
}

fn weightAt(i: u32) -> f32 {
  return unpackWeight(weight[weightWord(i, WEIGHT_DTYPE)], i, WEIGHT_DTYPE);
}

fn biasAt(i: u32) -> f32 {
  return unpackWeight(bias[weightWord(i, BIAS_DTYPE)], i, BIAS_DTYPE);
}
