/** One device for all test files that a worker runs: what was compiled for one file is there for the next. */
import { Gpu, openGpu } from '../src/gpu/device.ts';

/** Outlives a reset of the modules. */
const worker = globalThis as { sharedGpu?: Promise<Gpu> };

/**
 * For tests that leave the device as it is; one that loses it opens its own. Nobody destroys it: it ends with the worker.
 *
 * @param maxBindingBytes as in `openGpu`: a Gpu of its own on the same device, with weights split under this limit
 */
export async function sharedGpu(maxBindingBytes?: number): Promise<Gpu> {
  worker.sharedGpu ??= openGpu();
  let gpu = await worker.sharedGpu;
  if (!isHealthy(gpu)) {
    worker.sharedGpu = openGpu(); // what another file broke is not this file's failure
    gpu = await worker.sharedGpu;
  }
  if (maxBindingBytes === undefined) return gpu;
  const platform = { adapter: null, readText: gpu.readText, release: () => {} };
  return new Gpu(gpu.device, gpu.info, maxBindingBytes, platform);
}

function isHealthy(gpu: Gpu): boolean {
  try {
    gpu.assertHealthy();
    return true;
  } catch {
    return false;
  }
}
