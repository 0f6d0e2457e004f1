// Sum and maximum over the threads of a workgroup, by a tree in workgroup memory:
//
//   thread   0   1   2   3        stride 2: 0 += 2, 1 += 3
//            └───┼───┘   │        stride 1: 0 += 1
//                └───────┘        then every thread reads slot 0
//
// The kernel declares override WORKGROUP_SIZE (a power of two) and calls from uniform control flow.

var<workgroup> reduceSlots: array<f32, WORKGROUP_SIZE>;  // [WORKGROUP_SIZE], 4 bytes each

fn workgroupSum(value: f32, thread: u32) -> f32 {
  reduceSlots[thread] = value;
  for (var stride = WORKGROUP_SIZE / 2u; stride > 0u; stride >>= 1u) {
    workgroupBarrier();
    if (thread < stride) {
      reduceSlots[thread] += reduceSlots[thread + stride];
    }
  }
  workgroupBarrier();
  let total = reduceSlots[0];
  workgroupBarrier();  // the next reduction writes the slots again
  return total;
}

fn workgroupMax(value: f32, thread: u32) -> f32 {
  reduceSlots[thread] = value;
  for (var stride = WORKGROUP_SIZE / 2u; stride > 0u; stride >>= 1u) {
    workgroupBarrier();
    if (thread < stride) {
      reduceSlots[thread] = max(reduceSlots[thread], reduceSlots[thread + stride]);
    }
  }
  workgroupBarrier();
  let largest = reduceSlots[0];
  workgroupBarrier();
  return largest;
}
