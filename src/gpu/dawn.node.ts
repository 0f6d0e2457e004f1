import { readFile } from 'node:fs/promises';
import { create, globals } from 'webgpu';
import type { GpuPlatform } from './platform.ts';
import {
  driverChosen,
  loadVulkanBesideDriver,
  systemHasVulkan,
  useSwiftShader,
} from './softwareAdapter.node.ts';

// The only module state: Node crashes if the object from create() is garbage-collected while a device lives.
const held = new Set<{ instance: GPU; adapter: GPUAdapter | null }>();
// By default Dawn rounds timestamps as browsers must, to 65 µs on software adapters. Many dispatches are shorter.
const DAWN_OPTIONS = ['disable-dawn-features=timestamp_quantization'];

/**
 * Starts Dawn and asks it for an adapter. On Linux without a usable Vulkan driver it falls back to SwiftShader. A driver
 * that the user chose with `VK_DRIVER_FILES` is never replaced.
 */
export async function openDawn(options: GPURequestAdapterOptions): Promise<GpuPlatform> {
  Object.assign(globalThis, globals); // GPUBufferUsage etc., as in a page
  if (driverChosen()) loadVulkanBesideDriver();
  else if (!systemHasVulkan()) await useSwiftShader();

  let instance = create(DAWN_OPTIONS);
  let adapter = await instance.requestAdapter(options);
  if (adapter === null && !driverChosen() && (await useSwiftShader())) {
    instance = create(DAWN_OPTIONS); // a fresh instance looks for drivers again
    adapter = await instance.requestAdapter(options);
  }
  const live = { instance, adapter };
  held.add(live);
  return {
    adapter,
    readText: (url) => readFile(url, 'utf8'),
    release: () => held.delete(live),
  };
}
