// causalAttention: each query of a prompt attends to the cached keys up to its own position; several query heads share a key
// head.
//
//   out[token, head, :] = Σ_p softmax_p(query · kCache[kvHead, p] / sqrt(headDim)) · vCache[kvHead, p, :],   p <= start + token
//   kvHead = head / (heads / kvHeads)
//
// One thread per (head, token), key after key, with the online softmax: the weighted values so far shrink whenever a larger
// score comes, so that no score has to be kept.
//
//   rowMax' = max(rowMax, score)      shrink = exp(rowMax - rowMax')      keyWeight = exp(score - rowMax')
//   rowSum' = rowSum · shrink + keyWeight              values' = values · shrink + keyWeight · value
//
// Scores and sums are f32, in the order of the keys.
// Source: modeling_qwen2_5.py, Qwen2Attention; "Online normalizer calculation for softmax" (Milakov, Gimelshein 2018).

const MAX_HEAD_DIM = 256u;
const LOWEST_SCORE = -3.4e38;  // not -inf: (-inf) - (-inf) is NaN

override WORKGROUP_SIZE: u32 = 64u;

@group(0) @binding(0) var<storage, read> qkv: array<f32>;          // [tokens, qkvDim]: query heads come first
@group(0) @binding(1) var<storage, read> kCache: array<f32>;       // [kvHeads, context, headDim]
@group(0) @binding(2) var<storage, read> vCache: array<f32>;       // [kvHeads, context, headDim]
@group(0) @binding(3) var<storage, read> start: array<u32>;        // [1]: cache index of the first token
@group(0) @binding(4) var<storage, read_write> out: array<f32>;    // [tokens, heads · headDim]
@group(0) @binding(5) var<uniform> params: Params;

struct Params {
  tokens: u32,
  qkvDim: u32,
  kvHeads: u32,
  context: u32,
  headDim: u32,
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let headDim = params.headDim;
  let heads = params.qkvDim / headDim - 2u * params.kvHeads;
  let query = flatGroup(group, groups) * WORKGROUP_SIZE + thread;  // neighbours are tokens of one head: they read the same keys
  if (query >= heads * params.tokens) {
    return;
  }
  let head = query / params.tokens;
  let token = query % params.tokens;
  let kvHead = head / (heads / params.kvHeads);
  let keyCount = start[0] + token + 1u;
  let queryStart = token * params.qkvDim + head * headDim;
  let cacheStart = kvHead * params.context * headDim;
  let scale = 1.0 / sqrt(f32(headDim));

  var rowMax = LOWEST_SCORE;
  var rowSum = 0.0;
  var values: array<vec2f, MAX_HEAD_DIM / 2u>;  // [headDim], two by two
  for (var key = 0u; key < keyCount; key++) {
    let keyStart = cacheStart + key * headDim;
    var dots = vec2f(0.0);  // even and odd dimensions
    for (var i = 0u; i < headDim; i += 2u) {
      let q = vec2f(qkv[queryStart + i], qkv[queryStart + i + 1u]);
      dots += q * vec2f(kCache[keyStart + i], kCache[keyStart + i + 1u]);
    }
    let score = (dots.x + dots.y) * scale;

    let newMax = max(rowMax, score);
    let shrink = exp(rowMax - newMax);
    let keyWeight = exp(score - newMax);
    rowMax = newMax;
    rowSum = rowSum * shrink + keyWeight;
    for (var i = 0u; i < headDim; i += 2u) {
      let value = vec2f(vCache[keyStart + i], vCache[keyStart + i + 1u]);
      values[i / 2u] = values[i / 2u] * shrink + keyWeight * value;
    }
  }

  let outStart = (token * heads + head) * headDim;
  for (var i = 0u; i < headDim; i += 2u) {
    let value = values[i / 2u] / rowSum;
    out[outStart + i] = value.x;
    out[outStart + i + 1u] = value.y;
  }
}
