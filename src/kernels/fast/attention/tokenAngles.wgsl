// tokenAngles: cosines and sines of one token's angles, which are those of mRope: every layer turns its heads with the same ones.
//
//   angles[0, i] = cosTable[p, i]     angles[1, i] = sinTable[p, i]     p = positionIds[axis[i], start] - firstPosition

override WORKGROUP_SIZE: u32 = 64u;

@group(0) @binding(0) var<storage, read> positionIds: array<i32>;     // [3, context]
@group(0) @binding(1) var<storage, read> axis: array<u32>;            // [halfDim]: 0 time, 1 row, 2 column
@group(0) @binding(2) var<storage, read> cosTable: array<f32>;        // [positions, halfDim]
@group(0) @binding(3) var<storage, read> sinTable: array<f32>;        // [positions, halfDim]
@group(0) @binding(4) var<storage, read> start: array<u32>;           // [1]: cache index of the token
@group(0) @binding(5) var<storage, read_write> angles: array<f32>;    // [2, halfDim]
@group(0) @binding(6) var<uniform> params: Params;

struct Params {
  context: u32,
  halfDim: u32,
  firstPosition: i32,   // the position of row 0 of the tables
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  if (i >= params.halfDim) {
    return;
  }
  let position = positionIds[axis[i] * params.context + start[0]];
  let tableIndex = u32(position - params.firstPosition) * params.halfDim + i;
  angles[i] = cosTable[tableIndex];
  angles[params.halfDim + i] = sinTable[tableIndex];
}
