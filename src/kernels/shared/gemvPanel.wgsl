// The product of a single row with one panel of weights: the loop of the gemvPanels kernels. The kernel declares x: array<vec4f>
// [1, inDim], params.inDim, and what readPanel.wgsl needs.

/// Σ_k x[k] · weight[:, k] of a panel's eight rows. Four columns k a step: four loads bring 32 weights, one more four values of x.
/// Sums are f32: each step's four products are added, then joined to the sum.
fn panelProducts(panel: u32) -> PanelColumn {
  let panelStart = panel * params.inDim;
  var sums = PanelColumn(vec4f(0.0), vec4f(0.0));
  let wholeSteps = params.inDim & ~3u;
  for (var k = 0u; k < wholeSteps; k += 4u) {
    let values = x[k / 4u];
    let w0 = panelColumn(panelStart + k);
    let w1 = panelColumn(panelStart + k + 1u);
    let w2 = panelColumn(panelStart + k + 2u);
    let w3 = panelColumn(panelStart + k + 3u);
    sums.upper += values.x * w0.upper + values.y * w1.upper + values.z * w2.upper + values.w * w3.upper;
    sums.lower += values.x * w0.lower + values.y * w1.lower + values.z * w2.lower + values.w * w3.lower;
  }
  for (var k = wholeSteps; k < params.inDim; k++) {
    let w = panelColumn(panelStart + k);
    sums.upper += x[k / 4u][k % 4u] * w.upper;
    sums.lower += x[k / 4u][k % 4u] * w.lower;
  }
  return sums;
}
