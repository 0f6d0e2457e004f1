// mRope: rotary position embedding over three axes (time, row, column), on the queries and keys of a joined qkv row, in place.
//
//   for the pair (a, b) = (head[i], head[i + halfDim]) and the angle θ = position[axis(i)] · frequency(i):
//   a' = a·cos θ - b·sin θ        b' = b·cos θ + a·sin θ
//
//   head:   [ 0 … i … halfDim | … i + halfDim … headDim ]      rotate-half form: i goes with i + halfDim
//   axis:   [ t t t r r r c c ]                                 one axis per frequency (mrope_section)
//
// cos and sin are tables made on the host, one row per position from firstPosition on (positions may be negative).
// One thread per pair. With equal positions on all axes this is plain 1-D rotary.
// Source: "RoFormer" (Su et al. 2021); modeling_qwen2_5.py, apply_multimodal_rotary_pos_emb.

override WORKGROUP_SIZE: u32 = 64u;

@group(0) @binding(0) var<storage, read_write> qkv: array<f32>;     // [tokens, qkvDim]: query heads, key heads, value heads
@group(0) @binding(1) var<storage, read> positionIds: array<i32>;   // [3, context]
@group(0) @binding(2) var<storage, read> axis: array<u32>;          // [halfDim]: 0 time, 1 row, 2 column
@group(0) @binding(3) var<storage, read> cosTable: array<f32>;      // [positions, halfDim]
@group(0) @binding(4) var<storage, read> sinTable: array<f32>;      // [positions, halfDim]
@group(0) @binding(5) var<storage, read> start: array<u32>;         // [1]: cache index of the first token
@group(0) @binding(6) var<uniform> params: Params;

struct Params {
  tokens: u32,
  qkvDim: u32,
  context: u32,
  halfDim: u32,
  rotatedHeads: u32,    // query heads + key heads
  firstPosition: i32,   // the position of row 0 of the tables
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let pair = flatGroup(group, groups) * WORKGROUP_SIZE + thread;
  let pairsPerToken = params.rotatedHeads * params.halfDim;
  if (pair >= params.tokens * pairsPerToken) {
    return;
  }
  let token = pair / pairsPerToken;
  let head = pair % pairsPerToken / params.halfDim;
  let i = pair % params.halfDim;

  let position = positionIds[axis[i] * params.context + start[0] + token];
  let tableIndex = u32(position - params.firstPosition) * params.halfDim + i;
  let c = cosTable[tableIndex];
  let s = sinTable[tableIndex];

  let first = token * params.qkvDim + head * 2u * params.halfDim + i;
  let second = first + params.halfDim;
  let a = qkv[first];
  let b = qkv[second];
  qkv[first] = a * c - b * s;
  qkv[second] = b * c + a * s;
}
