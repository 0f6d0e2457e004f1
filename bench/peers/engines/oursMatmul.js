// m2-reasoning's matmul kernels.

// @ts-check
import { kernels, openGpu, Pass, upload } from '../library.js';
import { matmulInputs } from '../matmulInputs.js';

/** @param {{ size: number, chain: number, kernel: 'plain' | 'fast', weightDtype: 'bf16' | 'f32' }} options */
export async function open({ size, chain, kernel, weightDtype }) {
  const gpu = await openGpu();
  const { x0, weight, weightBf16, rows } = matmulInputs(size);
  const layout = kernel === 'fast' ? 'panels' : 'rows';
  const quads = gpu.device.features.has('subgroups') ? kernels.matmulPanelsQuad : kernels.matmulPanels;
  const matmulPanels = gpu.isSoftware ? quads : kernels.matmulPanelsTiled; // as in src/model/fast/variants.ts
  const weights = upload(
    gpu,
    weightDtype === 'bf16' ? weightBf16 : weight,
    [size, size],
    'weight',
    weightDtype,
    layout,
  );
  const bias = upload(gpu, new Float32Array(size), [size], 'bias');
  const index = upload(gpu, Uint32Array.from(rows), [rows.length], 'rows');
  const pass = new Pass(gpu, 'matmul chain');
  let y = upload(gpu, x0, [size, size], 'x0');
  for (let i = 0; i < chain; i++) {
    if (kernel === 'plain') y = kernels.matmul(pass, { x: y, weight: weights, bias });
    else {
      const xT = kernels.transposeRows(pass, { x: y }); // timed too, as part of a linear layer
      y = matmulPanels(pass, { xT, weight: weights, bias }, { rows: size });
    }
  }
  const output = pass.readBack(kernels.gatherRows(pass, { x: y, index }));
  return {
    info: { device: gpu.info.device, driver: gpu.info.description },
    async run() {
      const started = performance.now();
      await pass.submit();
      const values = await output.read();
      return { ms: performance.now() - started, values: [...values] };
    },
  };
}
