// decodeAttention: the one query of a decode step attends to every cached key; several query heads share a key head.
//
//   out[head, :] = Σ_p softmax_p(query · kCache[kvHead, p] / sqrt(headDim)) · vCache[kvHead, p, :],   p <= start
//   kvHead = head / (heads / kvHeads)
//
//           keys 0 … start
//        ┌────────┬────────┬────┐     one workgroup per head, tile after tile of WORKGROUP_SIZE keys:
//  query │ tile 0 │ tile 1 │ …  │ 1.  thread t computes the score of key t of the tile,
//        └────────┴────────┴────┘ 2.  the scores join the online softmax,
//                                 3.  thread t sums dimensions t, t + WORKGROUP_SIZE, … of the weighted values.
//
// Scores and sums are f32. With a single query there are too few threads for one each, as causalAttention has it.
// Source: modeling_qwen2_5.py, Qwen2Attention; "FlashAttention" (Dao et al. 2022).

const MAX_HEAD_DIM = 256u;

override WORKGROUP_SIZE: u32 = 64u;

@group(0) @binding(0) var<storage, read> qkv: array<f32>;          // [1, qkvDim]: query heads come first
@group(0) @binding(1) var<storage, read> kCache: array<f32>;       // [kvHeads, context, headDim]
@group(0) @binding(2) var<storage, read> vCache: array<f32>;       // [kvHeads, context, headDim]
@group(0) @binding(3) var<storage, read> start: array<u32>;        // [1]: cache index of the query's token
@group(0) @binding(4) var<storage, read_write> out: array<f32>;    // [1, heads · headDim]
@group(0) @binding(5) var<uniform> params: Params;

struct Params {
  qkvDim: u32,
  kvHeads: u32,
  context: u32,
  headDim: u32,
}

var<workgroup> weightedValues: array<f32, MAX_HEAD_DIM>;  // [headDim], 4 bytes each

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let head = group.x;
  let headDim = params.headDim;
  let heads = params.qkvDim / headDim - 2u * params.kvHeads;
  let kvHead = head / (heads / params.kvHeads);
  let keyCount = start[0] + 1u;
  let queryStart = head * headDim;
  let cacheStart = kvHead * params.context * headDim;
  let scale = 1.0 / sqrt(f32(headDim));

  var softmax = OnlineSoftmax(LOWEST_SCORE, 0.0);
  for (var tileStart = 0u; tileStart < keyCount; tileStart += WORKGROUP_SIZE) {
    let key = tileStart + thread;
    var dots = vec2f(0.0);  // even and odd dimensions
    if (key < keyCount) {
      let keyStart = cacheStart + key * headDim;
      for (var i = 0u; i < headDim; i += 2u) {
        let q = vec2f(qkv[queryStart + i], qkv[queryStart + i + 1u]);
        dots += q * vec2f(kCache[keyStart + i], kCache[keyStart + i + 1u]);
      }
    }
    let shrink = addTile(&softmax, (dots.x + dots.y) * scale, key < keyCount, thread);

    let tileKeys = min(WORKGROUP_SIZE, keyCount - tileStart);
    for (var i = thread; i < headDim; i += WORKGROUP_SIZE) {
      let valueStart = cacheStart + tileStart * headDim + i;
      var sum = weightedValues[i] * shrink;  // workgroup memory starts as zeros
      for (var t = 0u; t < tileKeys; t++) {
        sum += tileWeights[t] * vCache[valueStart + t * headDim];
      }
      weightedValues[i] = sum;
    }
    workgroupBarrier();  // the next tile writes tileWeights again
  }

  for (var i = thread; i < headDim; i += WORKGROUP_SIZE) {
    out[head * headDim + i] = weightedValues[i] / softmax.rowSum;
  }
}
