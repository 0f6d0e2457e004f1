// visionValues: softmax of the scores and the weighted sum of the values of a segment: attentionValues for the vision tower.
//
//   out[patch, head, :] = Σ_key softmax_key(scores[head, patch, key]) · value[key, :],   key in the patch's segment
//
// Each thread: 4 patches x 8 dimensions in registers, key after key (shared/weightedRows.wgsl).
// Sums are f32, in the order of the keys. headDim is a multiple of 8.
// Source: qwen2_5_vit.py, Qwen2_5_VLVisionSdpaAttention

override WORKGROUP_SIZE: u32 = 16u;

@group(0) @binding(0) var<storage, read> scores: array<vec4f>;      // [heads, ceil(queries / 4), patches, 4]
@group(0) @binding(1) var<storage, read> qkv: array<vec4f>;         // [patches, 3 · heads · headDim]
@group(0) @binding(2) var<storage, read> segments: array<u32>;      // [patches, 2]: first key, end of the keys
@group(0) @binding(3) var<storage, read_write> out: array<vec4f>;   // [patches, heads · headDim]: rows of the asking patches
@group(0) @binding(4) var<uniform> params: Params;

struct Params {
  patches: u32,
  qkvDim: u32,
  numHeads: u32,
  firstPatch: u32,
  queries: u32,
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) thread: u32) {
  let hiddenVecs = params.qkvDim / 12u;
  let dimVecs = hiddenVecs / params.numHeads;
  let block = workgroup.x * WORKGROUP_SIZE + thread;  // neighbours are dimensions of the same patches
  let rowBlock = block / (dimVecs / 2u);
  let dim = 2u * (block % (dimVecs / 2u));  // in vec4
  let head = workgroup.y;
  let rowBlocks = (params.queries + 3u) / 4u;
  if (rowBlock >= rowBlocks) {
    return;
  }

  let row = params.firstPatch + min(4u * rowBlock + vec4u(0u, 1u, 2u, 3u), vec4u(params.queries - 1u));
  let firstKey = vec4u(segments[2u * row.x], segments[2u * row.y], segments[2u * row.z], segments[2u * row.w]);
  let endKey = vec4u(segments[2u * row.x + 1u], segments[2u * row.y + 1u], segments[2u * row.z + 1u], segments[2u * row.w + 1u]);
  let scoresStart = (head * rowBlocks + rowBlock) * params.patches;
  let valuesStart = 2u * hiddenVecs + head * dimVecs + dim;
  var sums = noRows();
  for (var key = firstKey.x; key < endKey.w; key++) {
    let inside = (vec4u(key) >= firstKey) & (vec4u(key) < endKey);  // the four may be of two segments
    let score = select(vec4f(LOWEST_SCORE), scores[scoresStart + key], inside);
    let value = valuesStart + key * 3u * hiddenVecs;
    addKey(&sums, score, qkv[value], qkv[value + 1u]);
  }
  storeRows(row * hiddenVecs + head * dimVecs + dim, sums);
}
