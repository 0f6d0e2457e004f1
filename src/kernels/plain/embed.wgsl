// embed: looks up one row of the token table for every token.
//
//   out[token, i] = table[min(ids[token], vocab - 1), i]
//
// One thread per element of out. A table too large for one binding comes in pieces, one dispatch each:
// a dispatch writes the tokens whose row lies in its piece and leaves the others alone.
// Source: modeling_qwen2_5.py, prompt_wrap_vision (ids are clipped to the vocabulary there).

override WORKGROUP_SIZE: u32 = 64u;
override TABLE_DTYPE: u32 = 0u;  // set by the host from the tensor: 0 f32, 1 bf16, 2 f16

@group(0) @binding(0) var<storage, read> ids: array<u32>;         // [tokens]
@group(0) @binding(1) var<storage, read> table: array<u32>;       // [vocab, dim], or rows of it
@group(0) @binding(2) var<storage, read_write> out: array<f32>;   // [tokens, dim]
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
  tokens: u32,
  vocab: u32,
  dim: u32,
  tableFirstRow: u32,
  tableRows: u32,
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let index = flatGroup(group, groups) * WORKGROUP_SIZE + thread;  // one element of out
  if (index >= params.tokens * params.dim) {
    return;
  }
  let token = index / params.dim;
  let column = index % params.dim;

  let id = min(ids[token], params.vocab - 1u);
  if (id < params.tableFirstRow || id >= params.tableFirstRow + params.tableRows) {
    return;  // another piece has this row
  }
  let tableIndex = (id - params.tableFirstRow) * params.dim + column;
  out[index] = unpackWeight(table[weightWord(tableIndex, TABLE_DTYPE)], tableIndex, TABLE_DTYPE);
}
