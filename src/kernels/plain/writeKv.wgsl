// writeKv: copies keys (after rotary) and values of new tokens into the cache.
//
//   qkv row:  [ query heads … | key heads | value heads ]
//   kCache[kvHead, start + token, i] = key head kvHead, i        vCache likewise
//
// One thread per element of one of the two caches' new rows. The cache keeps a head's positions together, as attention reads them.

override WORKGROUP_SIZE: u32 = 64u;

@group(0) @binding(0) var<storage, read> qkv: array<f32>;            // [tokens, qkvDim]
@group(0) @binding(1) var<storage, read> start: array<u32>;          // [1]: cache index of the first token
@group(0) @binding(2) var<storage, read_write> kCache: array<f32>;   // [kvHeads, context, headDim]
@group(0) @binding(3) var<storage, read_write> vCache: array<f32>;   // [kvHeads, context, headDim]
@group(0) @binding(4) var<uniform> params: Params;

struct Params {
  tokens: u32,
  qkvDim: u32,
  kvHeads: u32,
  context: u32,
  headDim: u32,
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let index = flatGroup(group, groups) * WORKGROUP_SIZE + thread;
  let kvDim = params.kvHeads * params.headDim;
  if (index >= params.tokens * kvDim) {
    return;
  }
  let token = index / kvDim;
  let kvHead = index % kvDim / params.headDim;
  let i = index % params.headDim;

  let keyIndex = token * params.qkvDim + params.qkvDim - 2u * kvDim + kvHead * params.headDim + i;
  let cacheIndex = (kvHead * params.context + start[0] + token) * params.headDim + i;
  kCache[cacheIndex] = qkv[keyIndex];
  vCache[cacheIndex] = qkv[keyIndex + kvDim];
}
