// attentionValues: softmax of the scores and the weighted sum of the cached values. Second half after attentionScores.
//
//   out[token, head, :] = Σ_key softmax_key(scores[kvHead, row, key]) · vCache[kvHead, key, :],   key <= start + token
//
//            keys                headDim
//         ┌─────────┐          ┌─────────┐      each thread: 4 rows x 8 dimensions in registers, key after key
//    rows │ ▓▓▓▓▓▓▓ │   keys   │ ░░░░░░░ │      with the online softmax: one vec4 of scores (▓), two of values (░).
//         └─────────┘          └─────────┘      Threads of the same rows compute the same weights: cheaper than sharing them.
//
//   rowMax' = max(rowMax, score)      shrink = exp(rowMax - rowMax')      keyWeight = exp(score - rowMax')
//   rowSum' = rowSum · shrink + keyWeight              values' = values · shrink + keyWeight · value
//
// Sums are f32, in the order of the keys. headDim is a multiple of 8.
// Source: modeling_qwen2_5.py, Qwen2Attention; "Online normalizer calculation for softmax" (Milakov, Gimelshein 2018).

const LOWEST_SCORE = -3.4e38;  // not -inf: (-inf) - (-inf) is NaN

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
  let keyCount = start[0] + token + 1u;  // of each row; the last row's is the largest
  let scoresStart = (kvHead * rowBlocks + rowBlock) * params.keys;
  let valuesStart = kvHead * params.context * dimVecs + dim;
  var rowMax = vec4f(LOWEST_SCORE);
  var rowSum = vec4f(0.0);
  var left0 = vec4f(0.0);  // row 0, dimensions 0, 1, 2, 3 of the eight
  var right0 = vec4f(0.0);  // row 0, dimensions 4, 5, 6, 7
  var left1 = vec4f(0.0);
  var right1 = vec4f(0.0);
  var left2 = vec4f(0.0);
  var right2 = vec4f(0.0);
  var left3 = vec4f(0.0);
  var right3 = vec4f(0.0);
  for (var key = 0u; key < keyCount.w; key++) {
    let score = select(vec4f(LOWEST_SCORE), scores[scoresStart + key], vec4u(key) < keyCount);
    let newMax = max(rowMax, score);
    let shrink = exp(rowMax - newMax);
    let keyWeight = exp(score - newMax);  // 0 after a row's last key: its maximum is far above LOWEST_SCORE by then
    rowMax = newMax;
    rowSum = rowSum * shrink + keyWeight;
    let leftValue = vCache[valuesStart + key * dimVecs];
    let rightValue = vCache[valuesStart + key * dimVecs + 1u];
    left0 = left0 * shrink.x + keyWeight.x * leftValue;
    right0 = right0 * shrink.x + keyWeight.x * rightValue;
    left1 = left1 * shrink.y + keyWeight.y * leftValue;
    right1 = right1 * shrink.y + keyWeight.y * rightValue;
    left2 = left2 * shrink.z + keyWeight.z * leftValue;
    right2 = right2 * shrink.z + keyWeight.z * rightValue;
    left3 = left3 * shrink.w + keyWeight.w * leftValue;
    right3 = right3 * shrink.w + keyWeight.w * rightValue;
  }

  // Rows past the edge go where the last one goes, and are stored before it: whatever their scores hold, it wins.
  let at = (token * heads + kvHead * group + row % group) * dimVecs + dim;
  out[at.w] = left3 / rowSum.w;
  out[at.w + 1u] = right3 / rowSum.w;
  out[at.z] = left2 / rowSum.z;
  out[at.z + 1u] = right2 / rowSum.z;
  out[at.y] = left1 / rowSum.y;
  out[at.y + 1u] = right1 / rowSum.y;
  out[at.x] = left0 / rowSum.x;
  out[at.x + 1u] = right0 / rowSum.x;
}
