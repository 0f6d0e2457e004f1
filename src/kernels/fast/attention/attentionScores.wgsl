// attentionScores: the products of queries and cached keys, before the softmax. First half of attention without workgroup memory,
// arrays or barriers; attentionValues is the second.
//
//   scores[kvHead, row, key] = query[row] · kCache[kvHead, key] / sqrt(headDim),   row = query · group + head % group
//
//            headDim              headDim
//         ┌─────────┐          ┌─────────┐      the query heads of the asking tokens that share a key head are the rows of one matrix,
//    rows │ ▓▓▓▓▓▓▓ │   keys   │ ░░░░░░░ │      so that a key is read once for four rows.
//         └─────────┘          └─────────┘      each thread: 4 rows x 4 keys, four dimensions a step
//
// The asking tokens are `queries` of them from firstToken on: all, or as many as scratch memory has room for the scores of.
// Sums are f32. Blocks whose keys come after the last of their tokens are left alone. headDim is a multiple of 4.
// Source: modeling_qwen2_5.py, Qwen2Attention

override WORKGROUP_SIZE: u32 = 16u;

@group(0) @binding(0) var<storage, read> qkv: array<vec4f>;            // [tokens, qkvDim]: query heads come first
@group(0) @binding(1) var<storage, read> kCache: array<vec4f>;         // [kvHeads, context, headDim]
@group(0) @binding(2) var<storage, read> start: array<u32>;            // [1]: cache index of the first token
@group(0) @binding(3) var<storage, read_write> scores: array<vec4f>;   // [kvHeads, ceil(rows / 4), keys, 4]: four rows to a vec4
@group(0) @binding(4) var<uniform> params: Params;

struct Params {
  qkvDim: u32,
  kvHeads: u32,
  context: u32,
  headDim: u32,
  keys: u32,        // as many as the last of the asking tokens attends to, or more
  firstToken: u32,
  queries: u32,
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) thread: u32) {
  let group = (params.qkvDim / params.headDim - 2u * params.kvHeads) / params.kvHeads;  // query heads per key head
  let rows = params.queries * group;
  let firstKey = 4u * (workgroup.x * WORKGROUP_SIZE + thread);
  let firstRow = 4u * workgroup.y;
  let kvHead = workgroup.z;
  let lastToken = params.firstToken + min(firstRow + 3u, rows - 1u) / group;  // of the four rows
  if (firstKey > start[0] + lastToken) {
    return;
  }

  let row = min(firstRow + vec4u(0u, 1u, 2u, 3u), vec4u(rows - 1u));  // rows past the edge are the last one again
  let q = ((params.firstToken + row / group) * params.qkvDim + (kvHead * group + row % group) * params.headDim) / 4u;
  let key = min(firstKey + vec4u(0u, 1u, 2u, 3u), vec4u(params.keys - 1u));
  let k = (kvHead * params.context + key) * (params.headDim / 4u);
  var sum0 = vec4f(0.0);  // key firstKey + 0, rows firstRow + 0, 1, 2, 3
  var sum1 = vec4f(0.0);
  var sum2 = vec4f(0.0);
  var sum3 = vec4f(0.0);
  for (var i = 0u; i < params.headDim / 4u; i++) {
    let q0 = qkv[q.x + i];
    let q1 = qkv[q.y + i];
    let q2 = qkv[q.z + i];
    let q3 = qkv[q.w + i];
    sum0 += products(q0, q1, q2, q3, kCache[k.x + i]);
    sum1 += products(q0, q1, q2, q3, kCache[k.y + i]);
    sum2 += products(q0, q1, q2, q3, kCache[k.z + i]);
    sum3 += products(q0, q1, q2, q3, kCache[k.w + i]);
  }

  let scale = 1.0 / sqrt(f32(params.headDim));
  let rowBlocks = (rows + 3u) / 4u;
  let outStart = (kvHead * rowBlocks + workgroup.y) * params.keys;
  scores[outStart + key.x] = sum0 * scale;  // past the last key that one is written again, with its own score
  scores[outStart + key.y] = sum1 * scale;
  scores[outStart + key.z] = sum2 * scale;
  scores[outStart + key.w] = sum3 * scale;
}

fn products(q0: vec4f, q1: vec4f, q2: vec4f, q3: vec4f, key: vec4f) -> vec4f {
  return vec4f(dot(q0, key), dot(q1, key), dot(q2, key), dot(q3, key));
}
