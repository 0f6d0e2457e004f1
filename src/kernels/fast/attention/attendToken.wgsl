// attendToken: all of attention for one new token. Turns query and key, puts key and value into the cache, and attends to it.
//
//   out[head, :] = Σ_key softmax_key(query · kCache[kvHead, key] / sqrt(headDim)) · vCache[kvHead, key, :],   key <= start
//   kvHead = head / group,   group = heads / kvHeads
//
//           keys of the cache                each workgroup: one key head and one split, all query heads of the key head
//        ┌─────────┬─────────┬─────┐         1. the queries are turned; the split with the new key turns and stores that too
//  query │ split 0 │ split 1 │  …  │         2. a thread computes the scores of 4 heads x 4 keys, dimension after dimension
//  heads │ 2 ▓▓▓▓▓ │         │     │         3. scores become weights, exp(score - rowMax)
//        └─────────┴─────────┴─────┘         4. a thread sums 4 dimensions of all heads' weighted values, key after key
//
// With one split, out is the result. With several (IS_SPLIT), each row of out is that of the split's keys alone, followed by
// log Σ exp(score): mergeSplits needs no more. No workgroup reads what another writes: only the split with the new key touches
// that place of the cache, and each split has queries and weights of its own. They lie in storage: much workgroup memory takes a
// software adapter long to compile. Sums are f32, in the order of the keys. headDim is a multiple of 8.
// Source: modeling_qwen2_5.py, Qwen2Attention; "Flash-Decoding for long-context inference" (Dao et al. 2023).

const MAX_GROUP = 8u;
const LOWEST_SCORE = -3.4e38;  // not -inf: (-inf) - (-inf) is NaN

override WORKGROUP_SIZE: u32 = 8u;
override IS_SPLIT: u32 = 0u;

@group(0) @binding(0) var<storage, read> qkv: array<vec4f>;            // [1, qkvDim] before rotary: query, key and value heads
@group(0) @binding(1) var<storage, read> angles: array<vec4f>;         // [2, headDim / 2]: cos and sin of the token's angles
@group(0) @binding(2) var<storage, read> start: array<u32>;            // [1]: cache index of the token
@group(0) @binding(3) var<storage, read_write> kCache: array<vec4f>;   // [kvHeads, context, headDim]
@group(0) @binding(4) var<storage, read_write> vCache: array<vec4f>;   // [kvHeads, context, headDim]
@group(0) @binding(5) var<storage, read_write> queries: array<vec4f>;  // [splits, heads · headDim]: turned
@group(0) @binding(6) var<storage, read_write> weights: array<vec4f>;  // [splits, kvHeads, ceil(group / 4), splitKeys, 4]
@group(0) @binding(7) var<storage, read_write> out: array<vec4f>;      // [1, heads · headDim], or [splits, heads, headDim + 4]
@group(0) @binding(8) var<uniform> params: Params;

struct Params {
  qkvDim: u32,
  kvHeads: u32,
  context: u32,
  headDim: u32,
  splitKeys: u32,
}

var<workgroup> maxima: array<vec4f, MAX_GROUP / 4u * WORKGROUP_SIZE>;  // [blocks, threads, 4]: the largest scores of a thread

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let kvHead = workgroup.x;
  let firstKey = workgroup.y * params.splitKeys;
  let newKey = start[0];
  if (firstKey > newKey) {
    return;
  }
  let keyCount = min(newKey + 1u - firstKey, params.splitKeys);
  let dimVecs = params.headDim / 4u;
  let heads = params.qkvDim / params.headDim - 2u * params.kvHeads;
  let group = heads / params.kvHeads;
  let headBlocks = (group + 3u) / 4u;
  let cacheStart = (kvHead * params.context + firstKey) * dimVecs;

  let queriesStart = (workgroup.y * heads + kvHead * group) * dimVecs;
  let weightsStart = (workgroup.y * params.kvHeads + kvHead) * headBlocks * params.splitKeys;

  let halfVecs = dimVecs / 2u;
  for (var pair = thread; pair < group * halfVecs; pair += WORKGROUP_SIZE) {
    let query = pair / halfVecs * dimVecs + pair % halfVecs;
    let turned = turn(kvHead * group * dimVecs + query, pair % halfVecs);
    queries[queriesStart + query] = turned.first;
    queries[queriesStart + query + halfVecs] = turned.second;
  }
  if (newKey < firstKey + params.splitKeys) {
    let newStart = (kvHead * params.context + newKey) * dimVecs;
    for (var i = thread; i < halfVecs; i += WORKGROUP_SIZE) {
      let turned = turn((heads + kvHead) * dimVecs + i, i);
      kCache[newStart + i] = turned.first;
      kCache[newStart + i + halfVecs] = turned.second;
    }
    for (var i = thread; i < dimVecs; i += WORKGROUP_SIZE) {
      vCache[newStart + i] = qkv[(heads + params.kvHeads + kvHead) * dimVecs + i];
    }
  }
  storageBarrier();  // other threads read what this one has stored
  workgroupBarrier();

  let scale = 1.0 / sqrt(f32(params.headDim));
  for (var block = 0u; block < headBlocks; block++) {
    let q = queriesStart + headsOf(block) * dimVecs;
    var largest = vec4f(LOWEST_SCORE);
    for (var four = 4u * thread; four < keyCount; four += 4u * WORKGROUP_SIZE) {
      let key = min(four + vec4u(0u, 1u, 2u, 3u), vec4u(keyCount - 1u));
      let k = cacheStart + key * dimVecs;
      var sum0 = vec4f(0.0);  // key four + 0, heads 0, 1, 2, 3 of the block
      var sum1 = vec4f(0.0);
      var sum2 = vec4f(0.0);
      var sum3 = vec4f(0.0);
      for (var i = 0u; i < dimVecs; i++) {
        let q0 = queries[q.x + i];
        let q1 = queries[q.y + i];
        let q2 = queries[q.z + i];
        let q3 = queries[q.w + i];
        sum0 += products(q0, q1, q2, q3, kCache[k.x + i]);
        sum1 += products(q0, q1, q2, q3, kCache[k.y + i]);
        sum2 += products(q0, q1, q2, q3, kCache[k.z + i]);
        sum3 += products(q0, q1, q2, q3, kCache[k.w + i]);
      }
      let scores = weightsStart + block * params.splitKeys + key;
      weights[scores.x] = sum0 * scale;
      weights[scores.y] = sum1 * scale;
      weights[scores.z] = sum2 * scale;
      weights[scores.w] = sum3 * scale;
      largest = max(largest, max(max(sum0, sum1), max(sum2, sum3)) * scale);
    }
    maxima[block * WORKGROUP_SIZE + thread] = largest;
  }
  storageBarrier();
  workgroupBarrier();

  for (var block = 0u; block < headBlocks; block++) {
    let rowMax = largestScores(block);
    for (var key = thread; key < keyCount; key += WORKGROUP_SIZE) {
      let at = weightsStart + block * params.splitKeys + key;
      weights[at] = exp(weights[at] - rowMax);
    }
  }
  storageBarrier();
  workgroupBarrier();

  let upperStart = weightsStart + (headBlocks - 1u) * params.splitKeys;  // of heads 4 to 7; where there are none, not stored
  for (var dim = thread; dim < dimVecs; dim += WORKGROUP_SIZE) {  // in vec4
    var lowerSum = vec4f(0.0);  // of the weights of heads 0, 1, 2, 3; upper: 4, 5, 6, 7
    var upperSum = vec4f(0.0);
    var sum0 = vec4f(0.0);  // head 0, dimensions 0, 1, 2, 3 of the four
    var sum1 = vec4f(0.0);
    var sum2 = vec4f(0.0);
    var sum3 = vec4f(0.0);
    var sum4 = vec4f(0.0);
    var sum5 = vec4f(0.0);
    var sum6 = vec4f(0.0);
    var sum7 = vec4f(0.0);
    for (var key = 0u; key < keyCount; key++) {
      let lower = weights[weightsStart + key];
      let upper = weights[upperStart + key];
      let value = vCache[cacheStart + key * dimVecs + dim];
      lowerSum += lower;
      upperSum += upper;
      sum0 += lower.x * value;
      sum1 += lower.y * value;
      sum2 += lower.z * value;
      sum3 += lower.w * value;
      sum4 += upper.x * value;
      sum5 += upper.y * value;
      sum6 += upper.z * value;
      sum7 += upper.w * value;
    }
    let outStart = (workgroup.y * heads + kvHead * group) * (dimVecs + IS_SPLIT);
    store(outStart, dim, 0u, sum0, sum1, sum2, sum3, lowerSum);
    if (headBlocks == 2u) {
      store(outStart, dim, 1u, sum4, sum5, sum6, sum7, upperSum);
    }
  }
}

/// Four dimensions of a block of four heads. Heads past the last go where that goes, and are stored before it.
fn store(outStart: u32, dim: u32, block: u32, sum0: vec4f, sum1: vec4f, sum2: vec4f, sum3: vec4f, weightSum: vec4f) {
  let dimVecs = params.headDim / 4u;
  let row = outStart + headsOf(block) * (dimVecs + IS_SPLIT);
  out[row.w + dim] = sum3 / weightSum.w;
  out[row.z + dim] = sum2 / weightSum.z;
  out[row.y + dim] = sum1 / weightSum.y;
  out[row.x + dim] = sum0 / weightSum.x;
  if (IS_SPLIT == 1u && dim == 0u) {
    let logSum = largestScores(block) + log(weightSum);
    out[row.w + dimVecs] = vec4f(logSum.w, 0.0, 0.0, 0.0);
    out[row.z + dimVecs] = vec4f(logSum.z, 0.0, 0.0, 0.0);
    out[row.y + dimVecs] = vec4f(logSum.y, 0.0, 0.0, 0.0);
    out[row.x + dimVecs] = vec4f(logSum.x, 0.0, 0.0, 0.0);
  }
}

/// Four of the heads of a key head; past the last that one again.
fn headsOf(block: u32) -> vec4u {
  let group = params.qkvDim / params.headDim / params.kvHeads - 2u;
  return min(4u * block + vec4u(0u, 1u, 2u, 3u), vec4u(group - 1u));
}

struct Turned {
  first: vec4f,    // dimensions i
  second: vec4f,   // dimensions i + headDim / 2
}

/// Four pairs of a head, turned: those at `first` of qkv, which are the dimensions from 4 · i on of the first half.
fn turn(first: u32, i: u32) -> Turned {
  let halfVecs = params.headDim / 8u;
  let a = qkv[first];
  let b = qkv[first + halfVecs];
  let c = angles[i];
  let s = angles[halfVecs + i];
  return Turned(a * c - b * s, b * c + a * s);
}

fn products(q0: vec4f, q1: vec4f, q2: vec4f, q3: vec4f, key: vec4f) -> vec4f {
  return vec4f(dot(q0, key), dot(q1, key), dot(q2, key), dot(q3, key));
}

/// Of four heads, over the threads.
fn largestScores(block: u32) -> vec4f {
  var largest = maxima[block * WORKGROUP_SIZE];
  for (var other = 1u; other < WORKGROUP_SIZE; other++) {
    largest = max(largest, maxima[block * WORKGROUP_SIZE + other]);
  }
  return largest;
}
