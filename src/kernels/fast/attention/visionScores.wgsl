// visionScores: the products of queries and keys within a segment, before the softmax: attentionScores for the vision tower.
//
//   scores[head, patch, key] = query[patch] · key[key] / sqrt(headDim),   key in the patch's segment
//
// The asking patches are `queries` of them from firstPatch on: all, or as many as scratch memory has room for the scores of.
// Each thread: 4 patches x 4 keys (shared/scoreBlock.wgsl). Blocks outside the segments of their patches are left alone:
// in window order a segment's patches stand in a row, so that segments of later patches never begin or end earlier.
// Sums are f32. headDim is a multiple of 4.
// Source: qwen2_5_vit.py, Qwen2_5_VLVisionSdpaAttention

override WORKGROUP_SIZE: u32 = 16u;

@group(0) @binding(0) var<storage, read> qkv: array<vec4f>;            // [patches, 3 · heads · headDim], after rotary
@group(0) @binding(1) var<storage, read> segments: array<u32>;         // [patches, 2]: first key, end of the keys
@group(0) @binding(2) var<storage, read_write> scores: array<vec4f>;   // [heads, ceil(queries / 4), patches, 4]: four patches to a vec4
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
  patches: u32,
  qkvDim: u32,
  numHeads: u32,
  firstPatch: u32,
  queries: u32,
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) thread: u32) {
  let firstKey = 4u * (workgroup.x * WORKGROUP_SIZE + thread);
  let head = workgroup.z;
  let row = params.firstPatch + min(4u * workgroup.y + vec4u(0u, 1u, 2u, 3u), vec4u(params.queries - 1u));
  if (firstKey + 3u < segments[2u * row.x] || firstKey >= segments[2u * row.w + 1u]) {
    return;
  }

  let hiddenSize = params.qkvDim / 3u;
  let headDim = hiddenSize / params.numHeads;
  let key = min(firstKey + vec4u(0u, 1u, 2u, 3u), vec4u(params.patches - 1u));
  let q = (row * params.qkvDim + head * headDim) / 4u;
  let k = (key * params.qkvDim + hiddenSize + head * headDim) / 4u;
  let block = scoreBlock(q, k, headDim);  // [key, patch]

  let outStart = (head * ((params.queries + 3u) / 4u) + workgroup.y) * params.patches;
  scores[outStart + key.x] = block[0];  // past the last patch the last key is written again, with its own score
  scores[outStart + key.y] = block[1];
  scores[outStart + key.z] = block[2];
  scores[outStart + key.w] = block[3];
}

fn queryAt(i: u32) -> vec4f {
  return qkv[i];
}

fn keyAt(i: u32) -> vec4f {
  return qkv[i];
}
