// argmax: the id of the largest logit; of equal ones the lowest id, as torch.argmax gives it.
//
//   out[row] = min { id : logits[row, id] = max logits[row, :] }
//
//        vocab
//    ┌──────────┐      one workgroup per row: thread t walks ids t, t + WORKGROUP_SIZE, … and keeps its best,
//    │ 01230123 │      then a tree in workgroup memory keeps the better of two: larger value, then lower id.
//    └──────────┘
//
// A row with NaN or +∞, or without a finite logit, gives NO_TOKEN, which the host reports. −∞ is a ban and never chosen.

const NO_TOKEN = 0xffffffffu;
const LARGEST = 0x1.fffffep+127f;

override WORKGROUP_SIZE: u32 = 256u;

@group(0) @binding(0) var<storage, read> logits: array<f32>;      // [rows, vocab]
@group(0) @binding(1) var<storage, read_write> out: array<u32>;   // [rows]
@group(0) @binding(2) var<uniform> params: Params;

struct Params {
  rows: u32,
  vocab: u32,
}

struct Candidate {
  value: f32,
  id: u32,
}

var<workgroup> candidates: array<Candidate, WORKGROUP_SIZE>;  // 8 bytes each

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let row = flatGroup(group, groups);  // one workgroup per row
  if (row >= params.rows) {            // a folded grid has a few workgroups too many; they leave together
    return;
  }

  var best = Candidate(-LARGEST, NO_TOKEN);
  for (var id = thread; id < params.vocab; id += WORKGROUP_SIZE) {
    let value = logits[row * params.vocab + id];
    if (isFinite(value)) {
      best = better(best, Candidate(value, id));
    } else if (bitcast<u32>(value) != 0xff800000u) {
      best = Candidate(LARGEST, NO_TOKEN);  // wins against every token
    }
  }
  candidates[thread] = best;
  for (var stride = WORKGROUP_SIZE / 2u; stride > 0u; stride >>= 1u) {
    workgroupBarrier();
    if (thread < stride) {
      candidates[thread] = better(candidates[thread], candidates[thread + stride]);
    }
  }
  if (thread == 0u) {
    out[row] = candidates[0].id;
  }
}

fn better(a: Candidate, b: Candidate) -> Candidate {
  if (b.value > a.value || (b.value == a.value && b.id < a.id)) {
    return b;
  }
  return a;
}
