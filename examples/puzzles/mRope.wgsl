// mRope, a puzzle: rotary position embedding over three axes (time, row, column), on a joined qkv row, in place.
//
//   for the pair (a, b) = (head[i], head[i + halfDim]) and the angle θ = position[axis(i)] · frequency(i):
//   a' = a·cos θ - b·sin θ        b' = b·cos θ + a·sin θ
//
//   head:   [ 0 … i … halfDim | … i + halfDim … headDim ]      rotate-half form: i goes with i + halfDim
//   axis:   [ t t t r r r c c ]                                 one axis per frequency (mrope_section)
//
// One thread per pair.
//
// Replace each GAP comment by code. Lines that end in GAP are only there so that the text compiles: replace them too.
//   node examples/puzzles/check.js mRope        shows what is still wrong
// The solution is src/kernels/plain/mRope.wgsl.

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

  // GAP 1: the position of this token on the axis of frequency i; this call's first token has cache index start[0]
  let position = params.firstPosition;  // GAP
  // GAP 2: the index of this position and frequency i in the tables; their row 0 is firstPosition, which may be negative
  let tableIndex = i;  // GAP
  let c = cosTable[tableIndex];
  let s = sinTable[tableIndex];

  let first = token * params.qkvDim + head * 2u * params.halfDim + i;
  let second = first + params.halfDim;
  let a = qkv[first];
  let b = qkv[second];
  // GAP 3: write the rotated pair
}
