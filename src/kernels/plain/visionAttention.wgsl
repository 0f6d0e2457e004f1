// visionAttention: each patch attends to the patches of its own segment: its window, or its whole frame.
//
//   out[patch, head, :] = Σ_p softmax_p(query · key[p] / sqrt(headDim)) · value[p, :],   p in the patch's segment
//
//   patches  0 0 0 0 1 1 1 1 1 1 2 2      in window order a segment's patches stand in a row,
//                    └─ p ─────┘          from segments[patch].x up to segments[patch].y
//
// One thread per (head, patch), key after key, with the online softmax as in causalAttention. Scores and sums are f32, in the
// order of the keys.
// Source: qwen2_5_vit.py, Qwen2_5_VLVisionSdpaAttention; "Online normalizer calculation for softmax" (Milakov, Gimelshein 2018).

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
  for (var key = segments[2u * patchIndex]; key < segments[2u * patchIndex + 1u]; key++) {
    let keyStart = key * params.qkvDim + hiddenSize + head * headDim;
    let valueStart = keyStart + hiddenSize;
    var dots = vec2f(0.0);  // even and odd dimensions
    for (var i = 0u; i < headDim; i += 2u) {
      let q = vec2f(qkv[queryStart + i], qkv[queryStart + i + 1u]);
      dots += q * vec2f(qkv[keyStart + i], qkv[keyStart + i + 1u]);
    }
    let score = (dots.x + dots.y) * scale;

    let newMax = max(rowMax, score);
    let shrink = exp(rowMax - newMax);
    let keyWeight = exp(score - newMax);
    rowMax = newMax;
    rowSum = rowSum * shrink + keyWeight;
    for (var i = 0u; i < headDim; i += 2u) {
      let value = vec2f(qkv[valueStart + i], qkv[valueStart + i + 1u]);
      values[i / 2u] = values[i / 2u] * shrink + keyWeight * value;
    }
  }

  let outStart = patchIndex * hiddenSize + head * headDim;
  for (var i = 0u; i < headDim; i += 2u) {
    let value = values[i / 2u] / rowSum;
    out[outStart + i] = value.x;
    out[outStart + i + 1u] = value.y;
  }
}
