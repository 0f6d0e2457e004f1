// windowAttention, a puzzle: each patch attends to the patches of its own window.
//
//   out[patch, head, :] = Σ_p softmax_p(query · key[p] / sqrt(headDim)) · value[p, :],   p in the patch's window
//
//   patches  0 0 0 0 1 1 1 1 1 1 2 2      in window order the patches of a window are consecutive,
//                    └─ p ─────┘          from segments[patch].x up to segments[patch].y
//
// One thread per (head, patch), key after key. The softmax is online: there is no list of scores, but after each key
//
//   rowMax' = max(rowMax, score)                                the largest score so far
//   shrink  = exp(rowMax - rowMax')                             rescales the sums so far to the new maximum
//   rowSum' = rowSum · shrink + exp(score - rowMax')            and likewise for `values`, which is divided by rowSum at the end
//
// Replace each GAP comment by code. Lines that end in GAP are only there so that the text compiles: replace them too.
//   node examples/puzzles/check.js windowAttention      shows what is still wrong
// The solution is src/kernels/plain/visionAttention.wgsl.

const MAX_HEAD_DIM = 256u;
const LOWEST_SCORE = -3.4e38;  // not -inf: (-inf) - (-inf) is NaN

override WORKGROUP_SIZE: u32 = 64u;

@group(0) @binding(0) var<storage, read> qkv: array<f32>;          // [patches, 3 · heads · headDim], after rotary
@group(0) @binding(1) var<storage, read> segments: array<u32>;     // [patches, 2]: first key, end of the keys
@group(0) @binding(2) var<storage, read_write> out: array<f32>;    // [patches, heads · headDim]
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
  patches: u32,
  qkvDim: u32,
  numHeads: u32,
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let query = flatGroup(group, groups) * WORKGROUP_SIZE + thread;  // neighbours are patches of one head: they read the same keys
  if (query >= params.numHeads * params.patches) {
    return;
  }
  let head = query / params.patches;
  let patchIndex = query % params.patches;  // `patch` is a reserved word
  let hiddenSize = params.qkvDim / 3u;
  let headDim = hiddenSize / params.numHeads;
  let queryStart = patchIndex * params.qkvDim + head * headDim;
  let scale = 1.0 / sqrt(f32(headDim));

  var rowMax = LOWEST_SCORE;
  var rowSum = 0.0;
  var values: array<vec2f, MAX_HEAD_DIM / 2u>;  // [headDim], two by two
  // GAP 1: the keys of this patch's own window, not of all patches
  for (var key = 0u; key < params.patches; key++) {  // GAP
    let keyStart = key * params.qkvDim + hiddenSize + head * headDim;
    let valueStart = keyStart + hiddenSize;
    var dots = vec2f(0.0);  // even and odd dimensions
    for (var i = 0u; i < headDim; i += 2u) {
      let q = vec2f(qkv[queryStart + i], qkv[queryStart + i + 1u]);
      dots += q * vec2f(qkv[keyStart + i], qkv[keyStart + i + 1u]);
    }
    let score = (dots.x + dots.y) * scale;

    let newMax = max(rowMax, score);
    // GAP 2: the factor that rescales the sums from rowMax to newMax, this key's weight, the new rowMax and rowSum
    let shrink = 1.0;     // GAP
    let keyWeight = 1.0;  // GAP
    rowSum += 1.0;        // GAP
    for (var i = 0u; i < headDim; i += 2u) {
      let value = vec2f(qkv[valueStart + i], qkv[valueStart + i + 1u]);
      values[i / 2u] = values[i / 2u] * shrink + keyWeight * value;
    }
  }

  let outStart = patchIndex * hiddenSize + head * headDim;
  // GAP 3: write the weighted mean of the values, two at a time
}
