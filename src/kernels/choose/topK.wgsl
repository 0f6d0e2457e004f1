// topK: the k largest scores of one row, largest first, and their ids. Of equal scores the lower id comes first.
//
//   ids[r], values[r] = the r-th largest (value, lower id first) of scores
//
// One workgroup, k rounds. In each, every thread looks among its ids for the best one that comes after the winner of the round
// before, and a tree keeps the best of all. Nothing is sorted or marked: the order of (value, id) says what is already taken.
//
// k is small (twice the beams; the alternatives of a token), so reading the row k times is cheaper than sorting it.
// Scores that are not finite are passed over; places that stay empty hold NO_TOKEN and the lowest float.

const NO_TOKEN = 0xffffffffu;
const LARGEST = 0x1.fffffep+127f;

override WORKGROUP_SIZE: u32 = 128u;

@group(0) @binding(0) var<storage, read> scores: array<f32>;          // [1, vocab]
@group(0) @binding(1) var<storage, read_write> ids: array<u32>;       // [k]
@group(0) @binding(2) var<storage, read_write> values: array<f32>;    // [k]
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
  vocab: u32,
  k: u32,
}

struct Candidate {
  value: f32,
  id: u32,
}

var<workgroup> candidates: array<Candidate, WORKGROUP_SIZE>;  // 8 bytes each

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(local_invocation_index) thread: u32) {
  var last = Candidate(LARGEST, 0u);  // the winner of the round before; its id counts from the second round on
  for (var round = 0u; round < params.k; round++) {
    var best = Candidate(-LARGEST, NO_TOKEN);
    for (var id = thread; id < params.vocab; id += WORKGROUP_SIZE) {
      let candidate = Candidate(scores[id], id);
      let isLeft = round == 0u || comesBefore(last, candidate);
      if (isFinite(candidate.value) && isLeft && comesBefore(candidate, best)) {
        best = candidate;
      }
    }
    candidates[thread] = best;
    for (var stride = WORKGROUP_SIZE / 2u; stride > 0u; stride >>= 1u) {
      workgroupBarrier();
      if (thread < stride && comesBefore(candidates[thread + stride], candidates[thread])) {
        candidates[thread] = candidates[thread + stride];
      }
    }
    workgroupBarrier();
    last = candidates[0];
    if (thread == 0u) {
      ids[round] = last.id;
      values[round] = last.value;
    }
    workgroupBarrier();  // the next round writes the candidates again
  }
}

fn comesBefore(a: Candidate, b: Candidate) -> bool {
  return a.value > b.value || (a.value == b.value && a.id < b.id);
}
