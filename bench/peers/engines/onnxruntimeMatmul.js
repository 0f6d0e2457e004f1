// onnxruntime-node's MatMul: on WebGPU or on the CPU, with its default options.

// @ts-check
import { importPeer } from '../importPeer.js';
import { matmulInputs, transposed } from '../matmulInputs.js';
import { matmulChainModel } from '../onnxModel.js';

/** @param {{ size: number, chain: number, provider: 'webgpu' | 'cpu' }} options */
export async function open({ size, chain, provider }) {
  const { InferenceSession, Tensor } = await importPeer('onnxruntime-node');
  const { x0, weight, rows } = matmulInputs(size);
  const model = matmulChainModel({ size, chain, x0, transposedWeight: transposed(weight, size), rows });
  // By default the result is copied to the CPU, so that run() waits for the GPU.
  const session = await InferenceSession.create(model, { executionProviders: [{ name: provider }] });
  const scale = new Tensor('float32', Float32Array.of(1), [1]);
  return {
    info: { device: provider === 'cpu' ? 'CPU' : 'not reported: the first of VK_DRIVER_FILES' },
    async run() {
      const started = performance.now();
      const { out } = await session.run({ scale });
      return { ms: performance.now() - started, values: [...out.data] };
    },
  };
}
