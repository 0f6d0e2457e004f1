// visionRope: 2-D rotary position embedding of the vision tower, on the queries and keys of a joined qkv row, in place.
//
//   for the pair (a, b) = (head[i], head[i + halfDim]) and the patch's own angle θ(patch, i):
//   a' = a·cos θ - b·sin θ        b' = b·cos θ + a·sin θ
//
//   angles of a patch:  [ row·f0 row·f1 … | col·f0 col·f1 … ]   halfDim of them: half from its row, half from its column
//
// cos and sin of the angles are made on the host, in window order. One thread per pair.
// Source: qwen2_5_vit.py, apply_rotary_pos_emb_vision.

override WORKGROUP_SIZE: u32 = 64u;

@group(0) @binding(0) var<storage, read_write> qkv: array<f32>;   // [patches, qkvDim]: query heads, key heads, value heads
@group(0) @binding(1) var<storage, read> cosAngles: array<f32>;   // [patches, halfDim]
@group(0) @binding(2) var<storage, read> sinAngles: array<f32>;   // [patches, halfDim]
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
  patches: u32,
  qkvDim: u32,
  halfDim: u32,
  numHeads: u32,
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let pair = flatGroup(group, groups) * WORKGROUP_SIZE + thread;
  let pairsPerPatch = 2u * params.numHeads * params.halfDim;  // queries and keys
  if (pair >= params.patches * pairsPerPatch) {
    return;
  }
  let patchIndex = pair / pairsPerPatch;  // `patch` is a reserved word
  let head = pair % pairsPerPatch / params.halfDim;
  let i = pair % params.halfDim;

  let angleIndex = patchIndex * params.halfDim + i;
  let c = cosAngles[angleIndex];
  let s = sinAngles[angleIndex];

  let first = patchIndex * params.qkvDim + head * 2u * params.halfDim + i;
  let second = first + params.halfDim;
  let a = qkv[first];
  let b = qkv[second];
  qkv[first] = a * c - b * s;
  qkv[second] = b * c + a * s;
}
