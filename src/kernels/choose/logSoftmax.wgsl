// logSoftmax: log-probabilities of one row of logits, in place.
//
//   scores[i] -= max + log Σ exp(scores[j] - max)
//
// One workgroup: its threads stride over the row three times (largest, sum, subtract); two trees join what they found.
// Source: torch.log_softmax, as transformers' beam search calls it.

override WORKGROUP_SIZE: u32 = 128u;

const LOWEST = -3.4e38;

@group(0) @binding(0) var<storage, read_write> scores: array<f32>;   // [1, vocab]
@group(0) @binding(1) var<uniform> params: Params;

struct Params {
  vocab: u32,
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(local_invocation_index) thread: u32) {
  var largest = LOWEST;
  for (var i = thread; i < params.vocab; i += WORKGROUP_SIZE) {
    largest = max(largest, scores[i]);
  }
  largest = workgroupMax(largest, thread);

  var sum = 0.0;
  for (var i = thread; i < params.vocab; i += WORKGROUP_SIZE) {
    sum += exp(scores[i] - largest);
  }
  let logSum = log(workgroupSum(sum, thread));

  for (var i = thread; i < params.vocab; i += WORKGROUP_SIZE) {
    scores[i] = scores[i] - largest - logSum;
  }
}
