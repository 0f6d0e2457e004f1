// sampleToken: draws the next token from softmax(logits / temperature), cut by top-k, top-p and min-p.
//
//   u   = uniformRandom(seed, length)                        in [0, 1)
//   out = the first id with  Σ_{i ≤ id} weight[i] > u · Σ weight     over the tokens that are kept
//
//    0                                vocab      One workgroup. Every thread weighs one part of the range; the sums say which
//    ├──┬──┬──┬▓▓┬──┬──┬──┬──┬──┬──┬──┬──┤       part (▓) the drawn number falls into, and that part is divided again, until
//             ╱    ╲                             it is a single id: 152,064 → 2,376 → 38 → 1 with 64 threads.
//            ├┬┬▓┬┬┬┤
//
// A logit that is NaN or +∞, or none that is finite: NO_TOKEN, which the host reports.
// Which tokens are kept: shared/samplingCut.wgsl. The random number: shared/random.wgsl.

const NO_TOKEN = 0xffffffffu;

override WORKGROUP_SIZE: u32 = 64u;

@group(0) @binding(0) var<storage, read> logits: array<f32>;      // [1, vocab]
@group(0) @binding(1) var<storage, read> length: array<u32>;      // [1]
@group(0) @binding(2) var<storage, read_write> out: array<u32>;   // [1]
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
  vocab: u32,
  temperature: f32,
  topK: u32,
  topP: f32,
  minP: f32,
  seedLow: u32,
  seedHigh: u32,
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(local_invocation_index) thread: u32) {
  let cut = samplingCut(thread);
  let tieWeight = keptWeight(cut.key, cut);
  var sought = uniformRandom(params.seedLow, params.seedHigh, length[0]) * cut.totalWeight;
  var tiesToDrop = cut.tiesDropped;

  var first = 0u;  // the range that holds the drawn token: ids first … first + size − 1
  for (var size = params.vocab; size > 1u; ) {
    let partSize = (size + WORKGROUP_SIZE - 1u) / WORKGROUP_SIZE;
    let begin = first + thread * partSize;
    let end = min(min(begin + partSize, first + size), params.vocab);
    var weight = 0.0;
    var ties = 0u;
    for (var id = begin; id < end; id++) {
      let key = keyOf(id);
      if (key > cut.key) {
        weight += keptWeight(key, cut);
      }
      ties += u32(key == cut.key);
    }
    threadWeights[thread] = weight;
    threadCounts[thread] = ties;
    workgroupBarrier();

    // Every thread finds the same part: the last one that weighs something and begins at or below it.
    var before = 0.0;
    var chosen = Part(0u, 0.0, tiesToDrop);
    for (var i = 0u; i < WORKGROUP_SIZE; i++) {
      let dropped = min(threadCounts[i], tiesToDrop);
      let partWeight = threadWeights[i] + f32(threadCounts[i] - dropped) * tieWeight;
      if (partWeight > 0.0 && before <= sought) {
        chosen = Part(i, before, tiesToDrop);
      }
      before += partWeight;
      tiesToDrop -= dropped;
    }
    first += chosen.index * partSize;
    sought -= chosen.before;
    tiesToDrop = chosen.tiesToDrop;
    size = partSize;
    workgroupBarrier();  // the next round writes the slots again
  }
  if (thread == 0u) {
    let isBroken = cut.largestKey == BANNED_KEY || cut.largestKey == BROKEN_KEY;
    out[0] = select(first, NO_TOKEN, isBroken);
  }
}

struct Part {
  index: u32,
  before: f32,      // weight of the parts before it
  tiesToDrop: u32,  // at its beginning
}
