import { readFile } from 'node:fs/promises';
import { create, globals } from 'webgpu';
import {
  driverChosen,
  loadVulkanBesideDriver,
  systemHasVulkan,
  useSwiftShader,
} from './softwareAdapter.node.ts';

// The one piece of module state: Node crashes when the object that create() returned is collected while a device lives.
const held = new Set<{ instance: GPU; adapter: GPUAdapter | null }>();
// Dawn rounds timestamps as a browser must, to 65 µs on software adapters: a dispatch is shorter.
const DAWN_OPTIONS = ['disable-dawn-features=timestamp_quantization'];

/** What `openGpu` needs of its surroundings; a page has its own. */
export interface GpuPlatform {
  readonly adapter: GPUAdapter | null;
  /** Reads a `.wgsl` file (Node's `fetch` can't read `file:` URLs). */
  readonly readText: (url: URL) => Promise<string>;
  /** Call when the device is gone. */
  readonly release: () => void;
}

/**
 * Starts Dawn and asks it for an adapter. On Linux without a usable Vulkan driver it falls back to SwiftShader; a driver
 * that the person chose with `VK_DRIVER_FILES` always wins.
 */
export async function openDawn(options: GPURequestAdapterOptions): Promise<GpuPlatform> {
  Object.assign(globalThis, globals); // GPUBufferUsage and its like, as in a page
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
