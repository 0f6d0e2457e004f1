// causalAttention: each query attends to the cached keys up to its own position; several query heads share a key head.
//
//   out[token, head, :] = Σ_p softmax_p(query · kCache[kvHead, p] / sqrt(headDim)) · vCache[kvHead, p, :],   p <= start + token
//   kvHead = head / (heads / kvHeads)
//
//           keys 0 … start + token
//        ┌────────┬────────┬────┐     one workgroup per (head, token), tile after tile of WORKGROUP_SIZE keys:
//  query │ tile 0 │ tile 1 │ …  │ 1.  thread t computes the score of key t of the tile,
//        └────────┴────────┴────┘ 2.  the scores join the online softmax,
//                                 3.  thread t sums dimensions t, t + WORKGROUP_SIZE, … of the weighted values.
//
// Scores and sums are f32. The same kernel serves prefill (many tokens) and decode (one token).
// Source: modeling_qwen2_5.py, Qwen2Attention; "FlashAttention" (Dao et al. 2022).

const DIMS_PER_THREAD = 4u;  // headDim / WORKGROUP_SIZE, rounded up, is at most this

override WORKGROUP_SIZE: u32 = 64u;

@group(0) @binding(0) var<storage, read> qkv: array<f32>;          // [tokens, qkvDim]: query heads come first
@group(0) @binding(1) var<storage, read> kCache: array<f32>;       // [kvHeads, context, headDim]
@group(0) @binding(2) var<storage, read> vCache: array<f32>;       // [kvHeads, context, headDim]
@group(0) @binding(3) var<storage, read> start: array<u32>;        // [1]: cache index of the first token
@group(0) @binding(4) var<storage, read_write> out: array<f32>;    // [tokens, heads · headDim]
@group(0) @binding(5) var<uniform> params: Params;

struct Params {
  qkvDim: u32,
  kvHeads: u32,
  context: u32,
  headDim: u32,
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let head = group.x;
  let token = group.y;
  let headDim = params.headDim;
  let heads = params.qkvDim / headDim - 2u * params.kvHeads;
  let kvHead = head / (heads / params.kvHeads);
  let keyCount = start[0] + token + 1u;
  let queryStart = token * params.qkvDim + head * headDim;
  let cacheStart = kvHead * params.context * headDim;
  let scale = 1.0 / sqrt(f32(headDim));

  var softmax = OnlineSoftmax(LOWEST_SCORE, 0.0);
  var acc: array<f32, DIMS_PER_THREAD>;
  for (var tileStart = 0u; tileStart < keyCount; tileStart += WORKGROUP_SIZE) {
    let key = tileStart + thread;
    var score = 0.0;
    if (key < keyCount) {
      let keyStart = cacheStart + key * headDim;
      for (var i = 0u; i < headDim; i++) {
        score += qkv[queryStart + i] * kCache[keyStart + i];
      }
    }
    let shrink = addTile(&softmax, score * scale, key < keyCount, thread);

    let tileKeys = min(WORKGROUP_SIZE, keyCount - tileStart);
    for (var d = 0u; d < DIMS_PER_THREAD; d++) {
      let i = thread + d * WORKGROUP_SIZE;
      if (i < headDim) {
        var sum = acc[d] * shrink;
        for (var t = 0u; t < tileKeys; t++) {
          sum += tileWeights[t] * vCache[cacheStart + (tileStart + t) * headDim + i];
        }
        acc[d] = sum;
      }
    }
    workgroupBarrier();  // the next tile writes tileWeights again
  }

  let outStart = (token * heads + head) * headDim;
  for (var d = 0u; d < DIMS_PER_THREAD; d++) {
    let i = thread + d * WORKGROUP_SIZE;
    if (i < headDim) {
      out[outStart + i] = acc[d] / softmax.rowSum;
    }
  }
}
