// visionScores: the products of queries and keys within a segment, before the softmax: attentionScores for the vision tower.
//
//   scores[head, patch, key] = query[patch] · key[key] / sqrt(headDim),   key in the patch's segment
//
// The asking patches are `queries` of them from firstPatch on: all, or as many as scratch memory has room for the scores of.
// Each thread: 4 patches x 4 keys, four dimensions a step. Blocks outside the segments of their patches are left alone:
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
  var sum0 = vec4f(0.0);  // key firstKey + 0, patches row.x, y, z, w
  var sum1 = vec4f(0.0);
  var sum2 = vec4f(0.0);
  var sum3 = vec4f(0.0);
  for (var i = 0u; i < headDim / 4u; i++) {
    let q0 = qkv[q.x + i];
    let q1 = qkv[q.y + i];
    let q2 = qkv[q.z + i];
    let q3 = qkv[q.w + i];
    sum0 += products(q0, q1, q2, q3, qkv[k.x + i]);
    sum1 += products(q0, q1, q2, q3, qkv[k.y + i]);
    sum2 += products(q0, q1, q2, q3, qkv[k.z + i]);
    sum3 += products(q0, q1, q2, q3, qkv[k.w + i]);
  }

  let scale = 1.0 / sqrt(f32(headDim));
  let outStart = (head * ((params.queries + 3u) / 4u) + workgroup.y) * params.patches;
  scores[outStart + key.x] = sum0 * scale;  // past the last patch the last key is written again, with its own score
  scores[outStart + key.y] = sum1 * scale;
  scores[outStart + key.z] = sum2 * scale;
  scores[outStart + key.w] = sum3 * scale;
}

fn products(q0: vec4f, q1: vec4f, q2: vec4f, q3: vec4f, key: vec4f) -> vec4f {
  return vec4f(dot(q0, key), dot(q1, key), dot(q2, key), dot(q3, key));
}
