// Softmax over keys that come in tiles of WORKGROUP_SIZE, one key per thread, without ever holding all scores:
//
//   after each tile     rowMax' = max(rowMax, scores)            the largest score so far
//                       shrink  = exp(rowMax - rowMax')          what was summed so far gets smaller by this
//                       rowSum' = rowSum · shrink + Σ exp(score - rowMax')
//
// The kernel keeps its sum of weighted values the same way and divides it by rowSum at the end.
// Source: "Online normalizer calculation for softmax" (Milakov, Gimelshein 2018). Needs workgroupReduce.wgsl.

struct OnlineSoftmax {
  rowMax: f32,
  rowSum: f32,
}

const LOWEST_SCORE = -3.4e38;  // not -inf: (-inf) - (-inf) is NaN

var<workgroup> tileWeights: array<f32, WORKGROUP_SIZE>;  // exp(score - rowMax) of the tile's keys, 4 bytes each

/// Takes one tile in: `score` of this thread's key, which counts when `valid`. Every thread gets `shrink`; the tile's weights
/// stand in `tileWeights` afterwards. Call a barrier before the next tile.
fn addTile(state: ptr<function, OnlineSoftmax>, score: f32, valid: bool, thread: u32) -> f32 {
  let newMax = max((*state).rowMax, workgroupMax(select(LOWEST_SCORE, score, valid), thread));
  let shrink = exp((*state).rowMax - newMax);
  let keyWeight = select(0.0, exp(score - newMax), valid);
  tileWeights[thread] = keyWeight;
  (*state).rowSum = (*state).rowSum * shrink + workgroupSum(keyWeight, thread);
  (*state).rowMax = newMax;
  return shrink;
}
