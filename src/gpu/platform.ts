/** The source of the adapter: `navigator.gpu` in a page, Dawn in Node. */
import { GpuError } from '../errors.ts';

/** What `openGpu` needs from its platform. */
export interface GpuPlatform {
  readonly adapter: GPUAdapter | null;
  /** Reads a `.wgsl` file (Node's `fetch` can't read `file:` URLs). */
  readonly readText: (url: URL) => Promise<string>;
  /** To be called once the device is gone. */
  readonly release: () => void;
}

export const INSTALL_HINT =
  'on Linux install a Vulkan driver of your GPU, or Mesa 25 or newer (Debian: mesa-vulkan-drivers from backports); ' +
  'on macOS update to 12 or newer; on Windows update the graphics driver (Direct3D 12). ' +
  'Without a GPU: npm install --save-dev @sparticuz/chromium tar-fs (Linux x64) brings a software driver. ' +
  'If VK_DRIVER_FILES is set, check that it names an existing driver file';

/** Requests an adapter from the page or, in Node, from Dawn. @throws GpuError GPU_NO_ADAPTER if a page has none */
export async function openPlatform(options: GPURequestAdapterOptions): Promise<GpuPlatform> {
  const gpu = globalThis.navigator?.gpu;
  if (gpu === undefined) {
    const { openDawn } = await import('./dawn.node.ts'); // in a page, bundlers replace it by withoutNode.ts
    return openDawn(options);
  }
  const adapter = await gpu.requestAdapter(options);
  if (adapter === null) {
    throw new GpuError('GPU_NO_ADAPTER', 'this browser has no WebGPU adapter', {
      hint: 'update the browser and the graphics driver; in Chrome, chrome://gpu says more',
    });
  }
  return { adapter, readText: fetchText, release: () => {} };
}

async function fetchText(url: URL): Promise<string> {
  const response = await fetch(url);
  // Development servers answer unknown paths with their start page.
  const isPage = response.headers.get('content-type')?.startsWith('text/html');
  if (response.ok && !isPage) return response.text();
  throw new Error(`${url.href} answers ${response.status}${isPage ? ' with a page' : ''}`);
}
