// tokenProbabilities: the probability with which sampleToken draws each token; 0 for those that are cut off.
//
//   out[id] = weight[id] / Σ weight      over the tokens that are kept
//
// One workgroup. Thread t has the t-th part of the vocabulary: of the tokens that tie at the cut the first ones are dropped, so
// a thread must know how many ties stand in the parts before its own.
// Which tokens are kept: shared/samplingCut.wgsl.

override WORKGROUP_SIZE: u32 = 64u;

@group(0) @binding(0) var<storage, read> logits: array<f32>;      // [1, vocab]
@group(0) @binding(1) var<storage, read_write> out: array<f32>;   // [1, vocab]
@group(0) @binding(2) var<uniform> params: Params;

struct Params {
  vocab: u32,
  temperature: f32,
  topK: u32,
  topP: f32,
  minP: f32,
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(local_invocation_index) thread: u32) {
  let cut = samplingCut(thread);
  let partSize = (params.vocab + WORKGROUP_SIZE - 1u) / WORKGROUP_SIZE;
  let begin = thread * partSize;
  let end = min(begin + partSize, params.vocab);

  var ties = 0u;
  for (var id = begin; id < end; id++) {
    ties += u32(keyOf(id) == cut.key);
  }
  threadCounts[thread] = ties;
  workgroupBarrier();
  var tiesBefore = 0u;
  for (var i = 0u; i < thread; i++) {
    tiesBefore += threadCounts[i];
  }

  for (var id = begin; id < end; id++) {
    let key = keyOf(id);
    let isTie = key == cut.key;
    let isKept = key > cut.key || (isTie && tiesBefore >= cut.tiesDropped);
    tiesBefore += u32(isTie);
    out[id] = select(0.0, keptWeight(key, cut) / cut.totalWeight, isKept);
  }
}
