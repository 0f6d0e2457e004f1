// penalizeLogits: takes note of the token that was chosen last, then changes the logits of tokens that have come before, and
// bans the end tokens while the text is too short. In this order:
//
//   in the prompt or the answer     logit < 0 ? logit · repetitionPenalty : logit / repetitionPenalty
//   `count` times in the answer     logit − presencePenalty − frequencyPenalty · count
//   an end token, too short a text  −∞
//
// What is known of each token of the vocabulary is one word of tokenState:
//
//    31 30 29               0
//   ┌──┬──┬──────────────────┐     31: it is in the prompt     30: it ends an answer
//   │  │  │      count       │     count: how often it is in the answer
//   └──┴──┴──────────────────┘
//
// One thread per entry of the vocabulary. The thread whose entry was chosen last counts it and writes it into `history`, which
// banNgrams reads next: nobody else touches either place in this dispatch.
// Source: transformers 4.49, RepetitionPenaltyLogitsProcessor, MinLengthLogitsProcessor.

const IN_PROMPT = 0x80000000u;
const END_TOKEN = 0x40000000u;
const COUNT_MASK = 0x3fffffffu;

override WORKGROUP_SIZE: u32 = 64u;

@group(0) @binding(0) var<storage, read_write> logits: array<f32>;      // [1, vocab]
@group(0) @binding(1) var<storage, read_write> tokenState: array<u32>;  // [vocab]
@group(0) @binding(2) var<storage, read_write> history: array<u32>;     // [context]
@group(0) @binding(3) var<storage, read> token: array<u32>;             // [1]
@group(0) @binding(4) var<storage, read> length: array<u32>;            // [1]
@group(0) @binding(5) var<uniform> params: Params;

struct Params {
  vocab: u32,
  promptLength: u32,
  minLength: u32,
  repetitionPenalty: f32,
  presencePenalty: f32,
  frequencyPenalty: f32,
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let id = flatGroup(group, groups) * WORKGROUP_SIZE + thread;
  if (id >= params.vocab) {
    return;
  }
  if (length[0] > params.promptLength && id == token[0]) {  // before that, `token` is not the answer's yet
    tokenState[id] += 1u;
    history[length[0] - 1u] = id;
  }
  let state = tokenState[id];
  let count = state & COUNT_MASK;

  var logit = logits[id];
  if (!isFinite(logit)) {  // a penalty would not make it finite, but might hide it
    return;
  }
  if ((state & IN_PROMPT) != 0u || count > 0u) {
    logit = select(logit / params.repetitionPenalty, logit * params.repetitionPenalty, logit < 0.0);
  }
  if (count > 0u) {
    logit -= params.presencePenalty + params.frequencyPenalty * f32(count);
  }
  if ((state & END_TOKEN) != 0u && length[0] < params.minLength) {
    logit = banned();
  }
  logits[id] = logit;
}
