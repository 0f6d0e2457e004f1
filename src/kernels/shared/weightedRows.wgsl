// Softmax and weighted values of 4 rows of scores, 8 dimensions of a head, in registers: key after key, without ever holding all weights.
//
//   rowMax' = max(rowMax, score)      shrink = exp(rowMax - rowMax')      keyWeight = exp(score - rowMax')
//   rowSum' = rowSum · shrink + keyWeight              values' = values · shrink + keyWeight · value
//
// Sums are f32, in the order of the keys. The kernel declares out: array<vec4f>.
// Source: "Online normalizer calculation for softmax" (Milakov, Gimelshein 2018).

const LOWEST_SCORE = -3.4e38;  // of a key that does not count. Not -inf: (-inf) - (-inf) is NaN

struct WeightedRows {
  rowMax: vec4f,
  rowSum: vec4f,
  left: mat4x4f,   // column i: row i, dimensions 0, 1, 2, 3 of the eight
  right: mat4x4f,  // the same rows, dimensions 4, 5, 6, 7
}

fn noRows() -> WeightedRows {
  return WeightedRows(vec4f(LOWEST_SCORE), vec4f(0.0), mat4x4f(), mat4x4f());
}

/// Takes one key in: its scores in the four rows, and its value's eight dimensions.
fn addKey(rows: ptr<function, WeightedRows>, score: vec4f, left: vec4f, right: vec4f) {
  let newMax = max((*rows).rowMax, score);
  let shrink = exp((*rows).rowMax - newMax);
  // After a row's keys 0, as its maximum is far above LOWEST_SCORE; before them 1, and the first key shrinks that sum to 0.
  let keyWeight = exp(score - newMax);
  (*rows).rowMax = newMax;
  (*rows).rowSum = (*rows).rowSum * shrink + keyWeight;
  (*rows).left[0] = (*rows).left[0] * shrink.x + keyWeight.x * left;
  (*rows).right[0] = (*rows).right[0] * shrink.x + keyWeight.x * right;
  (*rows).left[1] = (*rows).left[1] * shrink.y + keyWeight.y * left;
  (*rows).right[1] = (*rows).right[1] * shrink.y + keyWeight.y * right;
  (*rows).left[2] = (*rows).left[2] * shrink.z + keyWeight.z * left;
  (*rows).right[2] = (*rows).right[2] * shrink.z + keyWeight.z * right;
  (*rows).left[3] = (*rows).left[3] * shrink.w + keyWeight.w * left;
  (*rows).right[3] = (*rows).right[3] * shrink.w + keyWeight.w * right;
}

/// Rows past the edge go where the last one goes, and are stored before it: whatever their scores hold, it wins.
fn storeRows(at: vec4u, rows: WeightedRows) {
  out[at.w] = rows.left[3] / rows.rowSum.w;
  out[at.w + 1u] = rows.right[3] / rows.rowSum.w;
  out[at.z] = rows.left[2] / rows.rowSum.z;
  out[at.z + 1u] = rows.right[2] / rows.rowSum.z;
  out[at.y] = rows.left[1] / rows.rowSum.y;
  out[at.y + 1u] = rows.right[1] / rows.rowSum.y;
  out[at.x] = rows.left[0] / rows.rowSum.x;
  out[at.x + 1u] = rows.right[0] / rows.rowSum.x;
}
