import type { Gpu } from '../src/gpu/device.ts';

/** Counts the buffers that `work` creates and destroys on this device. */
export async function livingBuffers(gpu: Gpu, work: () => Promise<unknown>): Promise<number> {
  const { device } = gpu;
  const original = device.createBuffer.bind(device);
  let living = 0;
  device.createBuffer = (descriptor) => {
    const buffer = original(descriptor);
    const destroy = buffer.destroy.bind(buffer);
    let destroyed = false;
    buffer.destroy = () => {
      if (!destroyed) living--;
      destroyed = true;
      return destroy();
    };
    living++;
    return buffer;
  };
  try {
    await work();
  } finally {
    device.createBuffer = original;
  }
  return living;
}
