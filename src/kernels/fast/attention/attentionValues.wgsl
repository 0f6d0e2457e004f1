// attentionValues: softmax of the scores and the weighted sum of the cached values. Second half after attentionScores.
//
//   out[token, head, :] = Σ_key softmax_key(scores[kvHead, row, key]) · vCache[kvHead, key, :],   key <= start + token
//
//            keys                headDim
//         ┌─────────┐          ┌─────────┐      each thread: 4 rows x 8 dimensions in registers, key after key
//    rows │ ▓▓▓▓▓▓▓ │   keys   │ ░░░░░░░ │      with the online softmax: one vec4 of scores (▓), two of values (░).
//         └─────────┘          └─────────┘      Threads of the same rows compute the same weights: cheaper than sharing them.
//
// Sums are f32, in the order of the keys: shared/weightedRows.wgsl. headDim is a multiple of 8.
// Source: modeling_qwen2_5.py, Qwen2Attention

override WORKGROUP_SIZE: u32 = 16u;

@group(0) @binding(0) var<storage, read> scores: array<vec4f>;      // [kvHeads, ceil(rows / 4), keys, 4]
@group(0) @binding(1) var<storage, read> vCache: array<vec4f>;      // [kvHeads, context, headDim]
@group(0) @binding(2) var<storage, read> start: array<u32>;         // [1]: cache index of the first token
@group(0) @binding(3) var<storage, read_write> out: array<vec4f>;   // [tokens, heads · headDim]: rows of the asking tokens
@group(0) @binding(4) var<uniform> params: Params;

struct Params {
  qkvDim: u32,
  kvHeads: u32,
  context: u32,
  headDim: u32,
  keys: u32,
  firstToken: u32,
  queries: u32,
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) thread: u32) {
  let heads = params.qkvDim / params.headDim - 2u * params.kvHeads;
  let group = heads / params.kvHeads;  // query heads per key head
  let rows = params.queries * group;
  let dimVecs = params.headDim / 4u;
  let block = workgroup.x * WORKGROUP_SIZE + thread;  // neighbours are dimensions of the same rows
  let rowBlock = block / (dimVecs / 2u);
  let dim = 2u * (block % (dimVecs / 2u));  // in vec4
  let kvHead = workgroup.y;
  let rowBlocks = (rows + 3u) / 4u;
  if (rowBlock >= rowBlocks) {
    return;
  }

  let row = min(4u * rowBlock + vec4u(0u, 1u, 2u, 3u), vec4u(rows - 1u));
  let token = params.firstToken + row / group;
  let endKey = start[0] + token + 1u;  // of each row
  let scoresStart = (kvHead * rowBlocks + rowBlock) * params.keys;
  let valuesStart = kvHead * params.context * dimVecs + dim;
  var sums = noRows();
  for (var key = 0u; key < endKey.w; key++) {  // the last row has the most keys
    let score = select(vec4f(LOWEST_SCORE), scores[scoresStart + key], vec4u(key) < endKey);
    let value = valuesStart + key * dimVecs;
    addKey(&sums, score, vCache[value], vCache[value + 1u]);
  }
  storeRows((token * heads + kvHead * group + row % group) * dimVecs + dim, sums);
}
