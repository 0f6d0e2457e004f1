// Blocks of products that stay in registers: a block [4, 4] is a mat4x4f, whose column i is row i of the block.

/// One value of each of four rows, times one of each of four columns.
fn outer(rows: vec4f, columns: vec4f) -> mat4x4f {
  return mat4x4f(rows.x * columns, rows.y * columns, rows.z * columns, rows.w * columns);
}

/// Four values of each of four rows, times four of each of four columns: their dot products.
fn products(rows: mat4x4f, columns: mat4x4f) -> mat4x4f {
  return mat4x4f(rows[0] * columns, rows[1] * columns, rows[2] * columns, rows[3] * columns);
}
