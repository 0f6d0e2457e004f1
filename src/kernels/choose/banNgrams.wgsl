// banNgrams: bans every token that would complete an n-gram which the text already holds.
//
//   history    a b c d  …  x a b c │ ?        n = 4: the last n − 1 tokens are "a b c"; they stood at the beginning, followed
//              └─┬─┘ ▲       └─┬─┘            by d, so d may not follow now: logits[d] = −∞
//              window        tail
//
// One thread per window of n tokens. Threads that ban the same token write the same value.
// Source: transformers 4.49, NoRepeatNGramLogitsProcessor.

override WORKGROUP_SIZE: u32 = 64u;

@group(0) @binding(0) var<storage, read_write> logits: array<f32>;   // [1, vocab]
@group(0) @binding(1) var<storage, read> history: array<u32>;        // [context]
@group(0) @binding(2) var<storage, read> length: array<u32>;         // [1]
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
  vocab: u32,
  ngramSize: u32,
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let window = flatGroup(group, groups) * WORKGROUP_SIZE + thread;
  if (window + params.ngramSize > length[0]) {
    return;
  }
  let tailLength = params.ngramSize - 1u;
  let tail = length[0] - tailLength;
  for (var i = 0u; i < tailLength; i++) {
    if (history[window + i] != history[tail + i]) {
      return;
    }
  }
  let id = history[window + tailLength];
  if (id < params.vocab) {
    logits[id] = banned();
  }
}
