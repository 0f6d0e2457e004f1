// visionAttention: each patch attends to the patches of its own segment: its window, or its whole frame.
//
//   out[patch, head, :] = Σ_p softmax_p(query · key[p] / sqrt(headDim)) · value[p, :],   p in the patch's segment
//
//   patches  0 0 0 0 1 1 1 1 1 1 2 2      in window order a segment's patches stand in a row,
//                    └─ p ─────┘          from segments[patch].x up to segments[patch].y
//
// One workgroup per (head, patch), tile after tile of WORKGROUP_SIZE keys:
//   1. thread t computes the score of key t of the tile,   2. the scores join the online softmax,
//   3. thread t sums dimensions t, t + WORKGROUP_SIZE, … of the weighted values.
// Scores and sums are f32. Source: qwen2_5_vit.py, Qwen2_5_VLVisionSdpaAttention; "FlashAttention" (Dao et al. 2022).

const DIMS_PER_THREAD = 4u;  // headDim / WORKGROUP_SIZE, rounded up, is at most this

override WORKGROUP_SIZE: u32 = 64u;

@group(0) @binding(0) var<storage, read> qkv: array<f32>;          // [patches, 3 · heads · headDim], after rotary
@group(0) @binding(1) var<storage, read> segments: array<u32>;     // [patches, 2]: first key, end of the keys
@group(0) @binding(2) var<storage, read_write> out: array<f32>;    // [patches, heads · headDim]
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
  qkvDim: u32,
  numHeads: u32,
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let pair = flatGroup(group, groups);  // one workgroup per (patch, head)
  let patchIndex = pair / params.numHeads;
  let head = pair % params.numHeads;
  if (patchIndex >= arrayLength(&segments) / 2u) {  // a folded grid has a few workgroups too many; they leave together
    return;
  }
  let hiddenSize = params.qkvDim / 3u;
  let headDim = hiddenSize / params.numHeads;
  let segmentStart = segments[2u * patchIndex];
  let segmentEnd = segments[2u * patchIndex + 1u];
  let queryStart = patchIndex * params.qkvDim + head * headDim;
  let scale = 1.0 / sqrt(f32(headDim));

  var softmax = OnlineSoftmax(LOWEST_SCORE, 0.0);
  var acc: array<f32, DIMS_PER_THREAD>;
  for (var tileStart = segmentStart; tileStart < segmentEnd; tileStart += WORKGROUP_SIZE) {
    let key = tileStart + thread;
    var score = 0.0;
    if (key < segmentEnd) {
      let keyStart = key * params.qkvDim + hiddenSize + head * headDim;
      for (var i = 0u; i < headDim; i++) {
        score += qkv[queryStart + i] * qkv[keyStart + i];
      }
    }
    let shrink = addTile(&softmax, score * scale, key < segmentEnd, thread);

    let tileKeys = min(WORKGROUP_SIZE, segmentEnd - tileStart);
    for (var d = 0u; d < DIMS_PER_THREAD; d++) {
      let i = thread + d * WORKGROUP_SIZE;
      if (i < headDim) {
        var sum = acc[d] * shrink;
        for (var t = 0u; t < tileKeys; t++) {
          let valueStart = (tileStart + t) * params.qkvDim + 2u * hiddenSize + head * headDim;
          sum += tileWeights[t] * qkv[valueStart + i];
        }
        acc[d] = sum;
      }
    }
    workgroupBarrier();  // the next tile writes tileWeights again
  }

  let outStart = patchIndex * hiddenSize + head * headDim;
  for (var d = 0u; d < DIMS_PER_THREAD; d++) {
    let i = thread + d * WORKGROUP_SIZE;
    if (i < headDim) {
      out[outStart + i] = acc[d] / softmax.rowSum;
    }
  }
}
