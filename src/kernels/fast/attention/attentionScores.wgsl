// attentionScores: the products of queries and cached keys, before the softmax. First half of attention without workgroup memory,
// arrays or barriers; attentionValues is the second.
//
//   scores[kvHead, row, key] = query[row] · kCache[kvHead, key] / sqrt(headDim),   row = query · group + head % group
//
//            headDim              headDim
//         ┌─────────┐          ┌─────────┐      the query heads of the asking tokens that share a key head are the rows of one matrix,
//    rows │ ▓▓▓▓▓▓▓ │   keys   │ ░░░░░░░ │      so that a key is read once for four rows.
//         └─────────┘          └─────────┘      each thread: 4 rows x 4 keys (shared/scoreBlock.wgsl)
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
  let block = scoreBlock(q, k, params.headDim);  // [key, row]

  let rowBlocks = (rows + 3u) / 4u;
  let outStart = (kvHead * rowBlocks + workgroup.y) * params.keys;
  scores[outStart + key.x] = block[0];  // past the last key that one is written again, with its own score
  scores[outStart + key.y] = block[1];
  scores[outStart + key.z] = block[2];
  scores[outStart + key.w] = block[3];
}

fn queryAt(i: u32) -> vec4f {
  return qkv[i];
}

fn keyAt(i: u32) -> vec4f {
  return kCache[i];
}
