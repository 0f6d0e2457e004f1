// TensorFlow.js's matMul on its WebGPU backend.

// @ts-check
import { create, globals } from 'webgpu';
import { importPeer } from '../importPeer.js';
import { matmulInputs } from '../matmulInputs.js';

/** @param {{ size: number, chain: number }} options */
export async function open({ size, chain }) {
  // The backend needs the globals of a web page when it is imported. Node crashes if the result of create() is garbage-collected.
  const gpu = create([]);
  Object.assign(globalThis, globals, { self: globalThis });
  Object.defineProperty(globalThis, 'navigator', { value: { gpu, userAgent: 'Node' }, configurable: true });
  const adapter = await gpu.requestAdapter();
  const tf = await importPeer('@tensorflow/tfjs-core');
  await importPeer('@tensorflow/tfjs-backend-webgpu');
  if (!(await tf.setBackend('webgpu'))) throw new Error('tfjs found no WebGPU backend');
  const { x0, weight, rows } = matmulInputs(size);
  const x = tf.tensor2d(x0, [size, size]);
  const weights = tf.tensor2d(weight, [size, size]);
  const index = tf.tensor1d(rows, 'int32');
  return {
    info: { device: adapter?.info.device },
    async run() {
      const started = performance.now();
      const out = tf.tidy(() => {
        let y = x;
        for (let i = 0; i < chain; i++) y = tf.matMul(y, weights, false, true);
        return tf.gather(y, index);
      });
      const values = await out.data();
      const ms = performance.now() - started;
      out.dispose();
      return { ms, values: [...values] };
    },
  };
}
