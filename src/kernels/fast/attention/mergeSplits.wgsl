// mergeSplits: attention over all keys from that over splits of them, as attendTokenSplits leaves it: out[head, :] =
//
//   Σ_s exp(logSum_s) · partials[s, head, :]  /  Σ_s exp(logSum_s)      logSum_s = log Σ_key exp(score), keys of split s
//
// s runs over the splits that hold a key: the others hold what was there before. Each thread: four dimensions of a head.
// Source: "Flash-Decoding for long-context inference" (Dao et al. 2023).

override WORKGROUP_SIZE: u32 = 64u;

@group(0) @binding(0) var<storage, read> partials: array<vec4f>;     // [splits, heads, headDim + 4]: values; logSum, 0, 0, 0
@group(0) @binding(1) var<storage, read> start: array<u32>;          // [1]: cache index of the last key
@group(0) @binding(2) var<storage, read_write> out: array<vec4f>;    // [1, heads · headDim]
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
  splits: u32,
  heads: u32,
  headDim: u32,
  splitKeys: u32,
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let dimVecs = params.headDim / 4u;
  let head = id.x / dimVecs;
  let dim = id.x % dimVecs;  // in vec4
  if (head >= params.heads) {
    return;
  }
  let usedSplits = start[0] / params.splitKeys + 1u;

  let rowVecs = dimVecs + 1u;
  var largest = partials[head * rowVecs + dimVecs].x;  // exp of what is left after it is taken off does not overflow
  for (var split = 1u; split < usedSplits; split++) {
    largest = max(largest, partials[(split * params.heads + head) * rowVecs + dimVecs].x);
  }
  var sum = vec4f(0.0);
  var weightSum = 0.0;
  for (var split = 0u; split < usedSplits; split++) {
    let row = (split * params.heads + head) * rowVecs;
    let weight = exp(partials[row + dimVecs].x - largest);
    sum += weight * partials[row + dim];
    weightSum += weight;
  }
  out[id.x] = sum / weightSum;
}
