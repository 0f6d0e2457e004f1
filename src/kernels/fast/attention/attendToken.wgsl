// attendToken: all of attention for one new token. Turns query and key, puts key and value into the cache, and attends to it.
//
//   out[head, :] = Σ_key softmax_key(query · kCache[kvHead, key] / sqrt(headDim)) · vCache[kvHead, key, :],   key <= start
//   kvHead = head / group,   group = heads / kvHeads
//
//           keys of the cache                each workgroup: one key head and one split, all query heads of the key head
//        ┌─────────┬─────────┬─────┐         1. turn: the queries; the split with the new key turns and stores that too
//  query │ split 0 │ split 1 │  …  │         2. score: a thread takes 4 heads x 4 keys, dimension after dimension
//  heads │ 2 ▓▓▓▓▓ │         │     │         3. weigh: scores become weights, exp(score - rowMax)
//        └─────────┴─────────┴─────┘         4. sum: a thread takes 4 dimensions of all heads' weighted values, key after key
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

/// What a workgroup works on: one key head, its query heads, and the keys of one split.
struct Split {
  index: u32,
  kvHead: u32,
  firstKey: u32,
  keyCount: u32,
  heads: u32,         // query heads of all key heads
  group: u32,         // query heads of this one,
  headBlocks: u32,    // four to a block
  dimVecs: u32,
  cacheStart: u32,    // in vec4: its first key in the caches,
  queriesStart: u32,  // its queries,
  weightsStart: u32,  // its weights
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let newKey = start[0];
  let split = splitOf(workgroup.x, workgroup.y, newKey);
  if (split.firstKey > newKey) {
    return;  // it holds no key yet
  }
  turnQueries(split, thread);
  if (newKey < split.firstKey + params.splitKeys) {
    cacheToken(split.kvHead, newKey, split.heads, thread);
  }
  storageBarrier();  // other threads read what this one has stored
  workgroupBarrier();
  scoreKeys(split, thread);
  storageBarrier();
  workgroupBarrier();
  weighKeys(split, thread);
  storageBarrier();
  workgroupBarrier();
  sumValues(split, thread);
}

fn splitOf(kvHead: u32, index: u32, newKey: u32) -> Split {
  let dimVecs = params.headDim / 4u;
  let heads = params.qkvDim / params.headDim - 2u * params.kvHeads;
  let group = heads / params.kvHeads;
  let headBlocks = (group + 3u) / 4u;
  let firstKey = index * params.splitKeys;
  let keyCount = min(newKey + 1u - firstKey, params.splitKeys);
  let cacheStart = (kvHead * params.context + firstKey) * dimVecs;
  let queriesStart = (index * heads + kvHead * group) * dimVecs;
  let weightsStart = (index * params.kvHeads + kvHead) * headBlocks * params.splitKeys;
  return Split(
    index, kvHead, firstKey, keyCount, heads, group, headBlocks, dimVecs, cacheStart, queriesStart, weightsStart,
  );
}

// 1. Turn

fn turnQueries(split: Split, thread: u32) {
  let halfVecs = split.dimVecs / 2u;
  for (var pair = thread; pair < split.group * halfVecs; pair += WORKGROUP_SIZE) {
    let query = pair / halfVecs * split.dimVecs + pair % halfVecs;
    let turned = turn(split.kvHead * split.group * split.dimVecs + query, pair % halfVecs);
    queries[split.queriesStart + query] = turned.first;
    queries[split.queriesStart + query + halfVecs] = turned.second;
  }
}

/// The token's key, turned, and its value.
fn cacheToken(kvHead: u32, newKey: u32, heads: u32, thread: u32) {
  let dimVecs = params.headDim / 4u;
  let halfVecs = dimVecs / 2u;
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

// 2. Score

/// Scores into `weights`, and the largest ones of each thread into `maxima`.
fn scoreKeys(split: Split, thread: u32) {
  for (var block = 0u; block < split.headBlocks; block++) {
    let q = split.queriesStart + headsOf(block, split.group) * split.dimVecs;
    var largest = vec4f(LOWEST_SCORE);
    for (var four = 4u * thread; four < split.keyCount; four += 4u * WORKGROUP_SIZE) {
      let key = min(four + vec4u(0u, 1u, 2u, 3u), vec4u(split.keyCount - 1u));
      let k = split.cacheStart + key * split.dimVecs;
      var scores = mat4x4f();  // [key, head]
      for (var i = 0u; i < split.dimVecs; i++) {  // key after key: with all loads first, as in scoreBlock.wgsl, it is slower on lavapipe
        let four = mat4x4f(queries[q.x + i], queries[q.y + i], queries[q.z + i], queries[q.w + i]);
        scores[0] += kCache[k.x + i] * four;
        scores[1] += kCache[k.y + i] * four;
        scores[2] += kCache[k.z + i] * four;
        scores[3] += kCache[k.w + i] * four;
      }
      scores *= 1.0 / sqrt(f32(params.headDim));
      let at = split.weightsStart + block * params.splitKeys + key;
      weights[at.x] = scores[0];
      weights[at.y] = scores[1];
      weights[at.z] = scores[2];
      weights[at.w] = scores[3];
      largest = max(largest, max(max(scores[0], scores[1]), max(scores[2], scores[3])));
    }
    maxima[block * WORKGROUP_SIZE + thread] = largest;
  }
}

/// Four of the heads of a key head; past the last that one again.
fn headsOf(block: u32, group: u32) -> vec4u {
  return min(4u * block + vec4u(0u, 1u, 2u, 3u), vec4u(group - 1u));
}

// 3. Weigh

fn weighKeys(split: Split, thread: u32) {
  for (var block = 0u; block < split.headBlocks; block++) {
    let rowMax = largestScores(block);
    for (var key = thread; key < split.keyCount; key += WORKGROUP_SIZE) {
      let at = split.weightsStart + block * params.splitKeys + key;
      weights[at] = exp(weights[at] - rowMax);
    }
  }
}

/// Of four heads, over the threads.
fn largestScores(block: u32) -> vec4f {
  var largest = maxima[block * WORKGROUP_SIZE];
  for (var other = 1u; other < WORKGROUP_SIZE; other++) {
    largest = max(largest, maxima[block * WORKGROUP_SIZE + other]);
  }
  return largest;
}

// 4. Sum

fn sumValues(split: Split, thread: u32) {
  let upperStart = split.weightsStart + (split.headBlocks - 1u) * params.splitKeys;  // of heads 4 to 7; where there are none, not stored
  for (var dim = thread; dim < split.dimVecs; dim += WORKGROUP_SIZE) {  // in vec4
    var lowerWeights = vec4f(0.0);  // of heads 0, 1, 2, 3; upper: 4, 5, 6, 7
    var upperWeights = vec4f(0.0);
    var lowerValues = mat4x4f();    // column i: head i, dimensions 0, 1, 2, 3 of the four
    var upperValues = mat4x4f();
    for (var key = 0u; key < split.keyCount; key++) {
      let lower = weights[split.weightsStart + key];
      let upper = weights[upperStart + key];
      let value = vCache[split.cacheStart + key * split.dimVecs + dim];
      lowerWeights += lower;
      upperWeights += upper;
      lowerValues += outer(lower, value);
      upperValues += outer(upper, value);
    }
    store(split, dim, 0u, lowerValues, lowerWeights);
    if (split.headBlocks == 2u) {
      store(split, dim, 1u, upperValues, upperWeights);
    }
  }
}

/// Four dimensions of a block of four heads. Heads past the last go where that goes, and are stored before it.
fn store(split: Split, dim: u32, block: u32, values: mat4x4f, weightSum: vec4f) {
  let rowVecs = split.dimVecs + IS_SPLIT;
  let row = (split.index * split.heads + split.kvHead * split.group + headsOf(block, split.group)) * rowVecs;
  out[row.w + dim] = values[3] / weightSum.w;
  out[row.z + dim] = values[2] / weightSum.z;
  out[row.y + dim] = values[1] / weightSum.y;
  out[row.x + dim] = values[0] / weightSum.x;
  if (IS_SPLIT == 1u && dim == 0u) {
    let logSum = largestScores(block) + log(weightSum);
    out[row.w + split.dimVecs] = vec4f(logSum.w, 0.0, 0.0, 0.0);
    out[row.z + split.dimVecs] = vec4f(logSum.z, 0.0, 0.0, 0.0);
    out[row.y + split.dimVecs] = vec4f(logSum.y, 0.0, 0.0, 0.0);
    out[row.x + split.dimVecs] = vec4f(logSum.x, 0.0, 0.0, 0.0);
  }
}
