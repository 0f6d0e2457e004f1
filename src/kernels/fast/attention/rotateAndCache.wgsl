// rotateAndCache: mRope and writeKv in one. Rotates queries in place, and puts rotated keys and values into the cache.
//
//   query heads   a' = a·cos θ - b·sin θ,   b' = b·cos θ + a·sin θ      as in mRope, in place
//   key heads     the same, in place and into kCache[kvHead, start + token]
//   value heads   into vCache[kvHead, start + token]
//
// One thread per pair (i, i + halfDim) of a head. Position, angle and cache index are those of mRope and writeKv.
// Source: "RoFormer" (Su et al. 2021); modeling_qwen2_5.py, apply_multimodal_rotary_pos_emb.

override WORKGROUP_SIZE: u32 = 64u;

@group(0) @binding(0) var<storage, read_write> qkv: array<f32>;      // [tokens, qkvDim]: query heads, key heads, value heads
@group(0) @binding(1) var<storage, read> positionIds: array<i32>;    // [3, context]
@group(0) @binding(2) var<storage, read> axis: array<u32>;           // [halfDim]: 0 time, 1 row, 2 column
@group(0) @binding(3) var<storage, read> cosTable: array<f32>;       // [positions, halfDim]
@group(0) @binding(4) var<storage, read> sinTable: array<f32>;       // [positions, halfDim]
@group(0) @binding(5) var<storage, read> start: array<u32>;          // [1]: cache index of the first token
@group(0) @binding(6) var<storage, read_write> kCache: array<f32>;   // [kvHeads, context, 2 · halfDim]
@group(0) @binding(7) var<storage, read_write> vCache: array<f32>;   // [kvHeads, context, 2 · halfDim]
@group(0) @binding(8) var<uniform> params: Params;

struct Params {
  tokens: u32,
  qkvDim: u32,
  kvHeads: u32,
  context: u32,
  halfDim: u32,
  firstPosition: i32,   // the position of row 0 of the tables
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let pair = flatGroup(group, groups) * WORKGROUP_SIZE + thread;
  let pairsPerToken = params.qkvDim / 2u;
  if (pair >= params.tokens * pairsPerToken) {
    return;
  }
  let token = pair / pairsPerToken;
  let head = pair % pairsPerToken / params.halfDim;
  let i = pair % params.halfDim;
  let cacheToken = start[0] + token;

  let first = token * params.qkvDim + head * 2u * params.halfDim + i;
  let second = first + params.halfDim;
  let a = qkv[first];
  let b = qkv[second];

  let allHeads = params.qkvDim / (2u * params.halfDim);
  let firstValueHead = allHeads - params.kvHeads;
  let firstKeyHead = firstValueHead - params.kvHeads;
  if (head >= firstValueHead) {
    let cacheIndex = ((head - firstValueHead) * params.context + cacheToken) * 2u * params.halfDim + i;
    vCache[cacheIndex] = a;
    vCache[cacheIndex + params.halfDim] = b;
    return;
  }

  let position = positionIds[axis[i] * params.context + cacheToken];
  let tableIndex = u32(position - params.firstPosition) * params.halfDim + i;
  let c = cosTable[tableIndex];
  let s = sinTable[tableIndex];
  let rotatedA = a * c - b * s;
  let rotatedB = b * c + a * s;
  qkv[first] = rotatedA;
  qkv[second] = rotatedB;
  if (head >= firstKeyHead) {
    let cacheIndex = ((head - firstKeyHead) * params.context + cacheToken) * 2u * params.halfDim + i;
    kCache[cacheIndex] = rotatedA;
    kCache[cacheIndex + params.halfDim] = rotatedB;
  }
}
