/// Rows of a matrix that lie together (readPanel.wgsl). Rows of x are filled up to as many. The host's number is that of gpu/panels.ts.
const PANEL_ROWS = 8u;

/// How many panels hold so many rows.
fn panelsOf(rows: u32) -> u32 {
  return (rows + PANEL_ROWS - 1u) / PANEL_ROWS;
}
