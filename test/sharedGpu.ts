/** One device for all test files of a worker, so that later files reuse compiled kernels. */
import { Gpu, openGpu } from '../src/gpu/device.ts';

/** Survives a reset of the modules. */
const worker = globalThis as { sharedGpu?: Promise<Gpu> };

/**
 * The shared device. Tests that lose the device must open their own. It is never destroyed and ends with the worker.
 *
 * @param maxBindingBytes as in `openGpu`; gives another Gpu on the same device that splits weights under this limit
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
