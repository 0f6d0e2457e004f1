// The loop of attention's scores: 4 queries x 4 keys in registers, four dimensions a step. The kernel has products.wgsl among its
// helpers and says where queries and keys lie:
//   fn queryAt(i: u32) -> vec4f     fn keyAt(i: u32) -> vec4f     four dimensions each

/// Query · key / sqrt(headDim): element [k][q] is of the query that begins at queries[q] and the key that begins at keys[k].
fn scoreBlock(queries: vec4u, keys: vec4u, headDim: u32) -> mat4x4f {
  var sums = mat4x4f();
  for (var i = 0u; i < headDim / 4u; i++) {
    let q = mat4x4f(queryAt(queries.x + i), queryAt(queries.y + i), queryAt(queries.z + i), queryAt(queries.w + i));
    let k = mat4x4f(keyAt(keys.x + i), keyAt(keys.y + i), keyAt(keys.z + i), keyAt(keys.w + i));
    sums += products(k, q);
  }
  return sums * (1.0 / sqrt(f32(headDim)));
}
