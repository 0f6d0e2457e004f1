// Which tokens may be drawn: top-k, then top-p, then min-p, without sorting the vocabulary.
//
//   score  = logit / temperature
//   weight = exp(score − largest score)          1 for the most likely token
//   key    = the score's bits as an integer in the same order, so that "larger" is a question about integers
//
// top-k and top-p both ask for a key: the largest one such that all tokens from it up reach a goal. For top-k the goal is a
// number, k of them; for top-p it is a weight, the share p of all. A key has eight digits of four bits, found one by one:
//
//            bins[digit, thread]        each thread adds those of its tokens that begin like the key found so far (▓) to its
//   15  ▓▓  │ · · · · · · · · │         own column, in the row of their next digit; then the rows are summed. From 15 down, the
//   14  ▓▓▓ │ · · · · · · · · │         first row with which the goal is reached is the next digit.
//    ⋮      │                 │         So sums have a fixed order: the same logits give the same cut every time.
//
// Most of the vocabulary is read once only. It is dealt out into LANES lanes (lane i: ids i, i + LANES, …) whose largest keys
// are kept: a lane below the key found so far is skipped. And where k lanes reach a key, k tokens do.
//
// An example: eight tokens, temperature 1, top-k 4, top-p 0.8.
//
//   id           0         1         2         3         4         5         6         7
//   logit        1         3         0         2         2        −1         2.5       0.5
//   key   bf800000  c0400000  80000000  c0000000  c0000000  407fffff  c0200000  bf000000
//   weight   0.135         1     0.050     0.368     0.368     0.018     0.607     0.082
//
//   top-k   first digit:  four keys begin with c, and four are sought: c
//           second:       all four go on with 0: c0
//           third:        one goes on with 4, one with 2, two with 0; only with the 0 they are four: c00; so on to c0000000
//           The tokens 1, 3, 4, 6 reach that key.
//   top-p   They weigh 2.342; 0.8 of it, 1.874, is the goal. c0400000 weighs 1, with c0200000 it is 1.607, with c0000000 2.342: that is
//           the key again. 1.874 − 1.607 = 0.267 is missing, and a token there weighs 0.368: of the two that tie one stays, the other,
//           the first, is dropped.
//   cut     key c0000000, tiesDropped 1: the tokens 1, 6 and 4, of weight 1.974, are drawn with 0.506, 0.307 and 0.186.
//           With min-p 0.4, 4 would go, too.
//
// The kernel has finite.wgsl among its helpers and declares WORKGROUP_SIZE, `logits` and `params` with vocab, temperature, topK (0: off),
// topP (1: off), minP.
// Source: transformers 4.49, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper, MinPLogitsWarper.

const DIGITS = 16u;              // values of a digit of four bits
const LANES = 1024u;
const BANNED_KEY = 0u;           // of −∞
const LOWEST_KEY = 0x00800000u;  // of the lowest finite score
const BROKEN_KEY = 0xffffffffu;  // of NaN and +∞
const ALL_TIES = 0xffffffffu;

const BY_LANES = 0u;             // what a goal counts: lanes by their largest keys,
const BY_NUMBER = 1u;            // tokens,
const BY_WEIGHT = 2u;            // or their weight

var<workgroup> laneKeys: array<u32, LANES>;                // the largest key of each lane, 4 KiB
var<workgroup> bins: array<f32, DIGITS * WORKGROUP_SIZE>;  // [DIGITS, WORKGROUP_SIZE], 4 bytes each
var<workgroup> binSums: array<f32, DIGITS>;
var<workgroup> threadWeights: array<f32, WORKGROUP_SIZE>;  // what each thread has to tell the others
var<workgroup> threadCounts: array<u32, WORKGROUP_SIZE>;

/// What may be drawn: tokens with keys above `key`, and of those with `key` itself all but the first `tiesDropped`.
struct Cut {
  key: u32,
  tiesDropped: u32,
  largestKey: u32,
  totalWeight: f32,  // of all that may be drawn
}

/// A key and what stands above it: a number, or a weight.
struct KeyAtGoal {
  key: u32,
  above: f32,
  goal: f32,
  reached: bool,
}

fn samplingCut(thread: u32) -> Cut {
  var cut = Cut(LOWEST_KEY, 0u, findLargestKey(thread), 0.0);
  var tiesKept = ALL_TIES;
  if (params.topK > 0u) {
    let k = f32(params.topK);
    if (params.vocab > LANES) {
      cut.key = findKey(k, BY_LANES, cut, thread).key;  // the k-th token is not below the k-th lane
    }
    cut.key = findKey(k, BY_NUMBER, cut, thread).key;   // all that tie with it stay
  }
  if (params.topP < 1.0) {
    let found = findKey(params.topP, BY_WEIGHT, cut, thread);
    cut.key = found.key;
    if (found.reached) {
      tiesKept = u32(clamp(ceil((found.goal - found.above) / weightOf(found.key, cut)), 1.0, f32(params.vocab)));
    }
  }
  weighCut(&cut, tiesKept, thread);
  return cut;
}

/// The largest key such that the tokens (or lanes) from it up, of those that `cut` keeps so far, reach `goal`: in number, or in
/// weight as a share of all. Where too few tokens or rounding leave the goal out of reach, one that keeps everything.
fn findKey(goal: f32, measure: u32, cut: Cut, thread: u32) -> KeyAtGoal {
  var found = KeyAtGoal(0u, 0.0, goal, true);
  for (var shift = 28u; shift < 32u; shift -= 4u) {  // below zero it wraps around
    for (var digit = 0u; digit < DIGITS; digit++) {
      bins[digit * WORKGROUP_SIZE + thread] = 0.0;
    }
    for (var lane = thread; lane < LANES; lane += WORKGROUP_SIZE) {
      let laneKey = laneKeys[lane];
      if (laneKey < cut.key || (laneKey >> shift) >> 4u < found.key) {
        continue;
      }
      let end = select(params.vocab, lane + 1u, measure == BY_LANES);
      for (var id = lane; id < end; id += LANES) {
        let key = select(keyOf(id), laneKey, measure == BY_LANES);
        if (key >= cut.key && (key >> shift) >> 4u == found.key) {
          let bin = ((key >> shift) & 15u) * WORKGROUP_SIZE + thread;
          bins[bin] += select(1.0, weightOf(key, cut), measure == BY_WEIGHT);
        }
      }
    }
    workgroupBarrier();
    if (thread < DIGITS) {
      var sum = 0.0;
      for (var i = 0u; i < WORKGROUP_SIZE; i++) {
        sum += bins[thread * WORKGROUP_SIZE + i];
      }
      binSums[thread] = sum;
    }
    workgroupBarrier();
    if (measure == BY_WEIGHT && shift == 28u) {
      var total = 0.0;
      for (var digit = 0u; digit < DIGITS; digit++) {
        total += binSums[digit];
      }
      found.goal = goal * total;
    }
    var digit = DIGITS - 1u;
    while (digit > 0u && found.above + binSums[digit] < found.goal) {
      found.above += binSums[digit];
      digit--;
    }
    found.reached = found.above + binSums[digit] >= found.goal;
    found.key = (found.key << 4u) | digit;
  }
  found.key = max(found.key, cut.key);
  return found;
}

/// Counts the tokens that tie at the cut, to know how many of them to drop, and weighs what is left.
fn weighCut(cut: ptr<function, Cut>, tiesKept: u32, thread: u32) {
  var weight = 0.0;
  var ties = 0u;
  for (var lane = thread; lane < LANES; lane += WORKGROUP_SIZE) {
    if (laneKeys[lane] < (*cut).key) {
      continue;
    }
    for (var id = lane; id < params.vocab; id += LANES) {
      let key = keyOf(id);
      if (key > (*cut).key) {
        weight += keptWeight(key, *cut);
      }
      ties += u32(key == (*cut).key);
    }
  }
  threadWeights[thread] = weight;
  threadCounts[thread] = ties;
  workgroupBarrier();
  var allTies = 0u;
  for (var i = 0u; i < WORKGROUP_SIZE; i++) {
    (*cut).totalWeight += threadWeights[i];
    allTies += threadCounts[i];
  }
  workgroupBarrier();
  (*cut).tiesDropped = allTies - min(allTies, tiesKept);
  (*cut).totalWeight += f32(allTies - (*cut).tiesDropped) * keptWeight((*cut).key, *cut);
}

/// Fills `laneKeys`.
fn findLargestKey(thread: u32) -> u32 {
  var largest = BANNED_KEY;
  for (var lane = thread; lane < LANES; lane += WORKGROUP_SIZE) {
    var laneKey = BANNED_KEY;
    for (var id = lane; id < params.vocab; id += LANES) {
      laneKey = max(laneKey, keyOf(id));
    }
    laneKeys[lane] = laneKey;
    largest = max(largest, laneKey);
  }
  threadCounts[thread] = largest;
  workgroupBarrier();
  for (var i = 0u; i < WORKGROUP_SIZE; i++) {  // every thread reads all: dearer than a tree, but with two barriers only
    largest = max(largest, threadCounts[i]);
  }
  workgroupBarrier();  // the slots are written again
  return largest;
}

fn keyOf(id: u32) -> u32 {
  if (!isFinite(logits[id])) {
    return select(BROKEN_KEY, BANNED_KEY, bitcast<u32>(logits[id]) == 0xff800000u);
  }
  let score = bitcast<u32>(logits[id] / params.temperature);
  if ((score << 1u) == 0u) {
    return 0x80000000u;  // −0 equals 0
  }
  // Positive floats are in the order of their bits, above all negative ones; those are in the opposite order.
  return select(score | 0x80000000u, ~score, (score >> 31u) == 1u);
}

/// Of a token that top-k and top-p keep: 0 where min-p leaves it out. The largest weight is 1, so minP is the limit itself.
fn keptWeight(key: u32, cut: Cut) -> f32 {
  let weight = weightOf(key, cut);
  return select(0.0, weight, weight >= params.minP);
}

fn weightOf(key: u32, cut: Cut) -> f32 {
  return exp(scoreOf(key) - scoreOf(cut.largestKey));
}

fn scoreOf(key: u32) -> f32 {
  return bitcast<f32>(select(~key, key & 0x7fffffffu, (key >> 31u) == 1u));
}
