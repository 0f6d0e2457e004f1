// embedPanels: embed on a table that lies in panels of eight rows (shared/readPanel.wgsl), as a tied output head needs it.
//
//   out[token, i] = table[min(ids[token], vocab - 1), i]
//
// One thread per element of out. A table too large for one binding comes in pieces, one dispatch each: a dispatch writes the
// tokens whose row lies in its piece and leaves the others alone.

override WORKGROUP_SIZE: u32 = 64u;
override TABLE_DTYPE: u32 = 0u;  // set by the host from the tensor: 0 f32, 1 bf16, 2 f16

@group(0) @binding(0) var<storage, read> ids: array<u32>;         // [tokens]
@group(0) @binding(1) var<storage, read> table: array<vec4u>;     // [vocab, dim] in panels, or some of them
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
  let row = id - params.tableFirstRow;
  let inPanel = row % PANEL_ROWS;
  let panelColumn = row / PANEL_ROWS * params.dim + column;
  if (TABLE_DTYPE == 0u) {
    out[index] = bitcast<f32>(table[2u * panelColumn + inPanel / 4u][inPanel % 4u]);
  } else {
    let pair = unpackPair(table[panelColumn][inPanel % 4u], TABLE_DTYPE);
    out[index] = select(pair.x, pair.y, inPanel >= 4u);
  }
}
