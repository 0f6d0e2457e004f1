// gemv: a linear layer on a single row, as decoding needs it. Every weight is read once, so reading is all that counts.
//
//   out[col] = Σ_k x[k] · weight[col, k] + bias[col]
//
//              inDim
//          ┌───────────┐      one workgroup per row of the weight:
//   outDim │ 0123 0123 │      its threads stride over the row (neighbours read neighbours), then a tree adds their sums.
//          └───────────┘
//
// Sums are f32: thread t adds k = t, t + WORKGROUP_SIZE, … in order, then the tree adds the threads.

override WORKGROUP_SIZE: u32 = 64u;
override WEIGHT_DTYPE: u32 = 0u;  // set by the host from the tensors: 0 f32, 1 bf16, 2 f16
override BIAS_DTYPE: u32 = 0u;

@group(0) @binding(0) var<storage, read> x: array<f32>;           // [1, inDim]
@group(0) @binding(1) var<storage, read> weight: array<u32>;      // [outDim, inDim], or rows of it
@group(0) @binding(2) var<storage, read> bias: array<u32>;        // [outDim]
@group(0) @binding(3) var<storage, read_write> out: array<f32>;   // [1, outDim]
@group(0) @binding(4) var<uniform> params: Params;

struct Params {
  inDim: u32,
  weightFirstRow: u32,
  weightRows: u32,
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let row = flatGroup(group, groups);  // of this piece of the weight
  if (row >= params.weightRows) {      // a folded grid has a few workgroups too many; they leave together
    return;
  }
  let rowStart = row * params.inDim;

  var partial = 0.0;
  for (var k = thread; k < params.inDim; k += WORKGROUP_SIZE) {
    partial += x[k] * weightAt(rowStart + k);
  }
  let sum = workgroupSum(partial, thread);

  if (thread == 0u) {
    let col = params.weightFirstRow + row;
    out[col] = sum + biasAt(col);
  }
}

fn weightAt(i: u32) -> f32 {
  return unpackWeight(weight[weightWord(i, WEIGHT_DTYPE)], i, WEIGHT_DTYPE);
}

fn biasAt(i: u32) -> f32 {
  return unpackWeight(bias[weightWord(i, BIAS_DTYPE)], i, BIAS_DTYPE);
}
