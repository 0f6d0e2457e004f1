import { GpuError, type M2Error } from '../errors.ts';
import { type GpuPlatform, INSTALL_HINT, openPlatform } from './platform.ts';
import { WorkPace } from './workPace.ts';

export interface OpenGpuOptions {
  readonly powerPreference?: GPUPowerPreference;
  /**
   * Largest binding, in bytes; larger weights are split by rows. The default and the upper bound are the adapter's
   * `maxStorageBufferBindingSize`; smaller values are for tests.
   */
  readonly maxBindingBytes?: number;
}

// Requested where the adapter has them; every model also runs without them.
const OPTIONAL_FEATURES = ['subgroups', 'shader-f16', 'timestamp-query'] as const;

/**
 * Opens the GPU with the adapter's own buffer limits and with those optional features that it has.
 *
 * @throws GpuError GPU_NO_ADAPTER if there is neither a driver nor the software fallback (the hint says what to install)
 */
export async function openGpu(options: OpenGpuOptions = {}): Promise<Gpu> {
  const platform = await openPlatform({ powerPreference: options.powerPreference });
  const { adapter } = platform;
  if (adapter === null) {
    platform.release();
    throw new GpuError('GPU_NO_ADAPTER', 'no WebGPU adapter was found', { hint: INSTALL_HINT });
  }
  const requiredFeatures = OPTIONAL_FEATURES.filter((name) => adapter.features.has(name));
  const { maxBufferSize, maxStorageBufferBindingSize } = adapter.limits;
  const device = await adapter.requestDevice({
    requiredFeatures,
    requiredLimits: { maxBufferSize, maxStorageBufferBindingSize },
  });
  const maxBindingBytes = Math.min(options.maxBindingBytes ?? Infinity, maxStorageBufferBindingSize);
  return new Gpu(device, adapter.info, maxBindingBytes, platform);
}

/** What a device has created and run since it was opened. Benchmarks and tests read these. */
export interface GpuCounters {
  buffers: number;
  bindGroups: number;
  dispatches: number;
  submits: number;
  readBackBytes: number;
}

/** An open device with its compiled pipelines, its counters and its first uncaptured error. */
export class Gpu {
  readonly device: GPUDevice;
  readonly info: GPUAdapterInfo;
  readonly maxBindingBytes: number;
  readonly readText: (url: URL) => Promise<string>;
  /** Compiled kernels by declaration, then by constants; see compile.ts. */
  readonly pipelines = new WeakMap<object, Map<string, Promise<unknown>>>();
  /** How much work to submit at once; used by `Pass.run`. */
  readonly workPace = new WorkPace();
  readonly counters: GpuCounters = { buffers: 0, bindGroups: 0, dispatches: 0, submits: 0, readBackBytes: 0 };
  readonly #platform: GpuPlatform;
  /** The reject functions of pending waits. Without them a lost device would resolve some waits and leave others pending. */
  readonly #waiting = new Set<(error: unknown) => void>();
  readonly #onError = ({ error }: GPUUncapturedErrorEvent): void => {
    this.#failure ??= uncapturedError(error);
  };
  #failure: M2Error | null = null;
  #destroyed = false;

  constructor(device: GPUDevice, info: GPUAdapterInfo, maxBindingBytes: number, platform: GpuPlatform) {
    this.device = device;
    this.info = info;
    this.maxBindingBytes = maxBindingBytes;
    this.readText = platform.readText;
    this.#platform = platform;
    void device.lost.then(({ reason, message }) => {
      this.#failure ??= new GpuError(
        'GPU_LOST',
        `the GPU device is gone (${reason || 'unknown'}: ${message})`,
        {
          hint: 'open a new one with openGpu() and load the model again',
        },
      );
      for (const reject of this.#waiting) reject(this.#failure);
    });
    device.addEventListener('uncapturederror', this.#onError);
  }

  /** The adapter in one line, e.g. `SwiftShader driver 5.0.0 (subgroups, timestamp-query; bindings up to 1024 MiB)`. */
  get description(): string {
    const { vendor, architecture, description, device } = this.info;
    const name =
      description || device || [vendor, architecture].filter(Boolean).join(' ') || 'unknown adapter';
    const features = OPTIONAL_FEATURES.filter((feature) => this.device.features.has(feature));
    return `${name} (${features.join(', ') || 'no optional features'}; bindings up to ${Math.floor(this.maxBindingBytes / 2 ** 20)} MiB)`;
  }

  /** Whether the adapter runs on the CPU, where different kernels are fast. */
  get isSoftware(): boolean {
    return this.info.isFallbackAdapter;
  }

  /** @throws GpuError the device's first failure since it was opened: GPU_LOST, GPU_OUT_OF_MEMORY or GPU_VALIDATION */
  assertHealthy(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  /** Waits for `promise`, or for the loss of the device. @throws the promise's own error; GpuError as `assertHealthy` */
  async wait<T>(promise: Promise<T>): Promise<T> {
    this.assertHealthy();
    let stopWaiting: (error: unknown) => void = () => {};
    try {
      return await new Promise<T>((resolve, reject) => {
        stopWaiting = reject;
        this.#waiting.add(reject);
        promise.then(resolve, (error) => reject(this.#failure ?? error));
      });
    } finally {
      this.#waiting.delete(stopWaiting);
      this.assertHealthy();
    }
  }

  /** Creates a buffer of at least `sizeBytes`. @throws GpuError GPU_LIMIT above the adapter's `maxBufferSize`; as `assertHealthy` */
  createBuffer(sizeBytes: number, usage: GPUBufferUsageFlags, label: string): GPUBuffer {
    this.assertHealthy();
    if (sizeBytes > this.device.limits.maxBufferSize) {
      throw new GpuError(
        'GPU_LIMIT',
        `${label}: needs a buffer of ${sizeBytes} bytes, this adapter allows ${this.device.limits.maxBufferSize} at most`,
        { tensor: label, hint: 'use a smaller picture (maxPixels) or a shorter context' },
      );
    }
    this.counters.buffers++;
    // A whole number of vec4: a kernel may read the end of a row as one.
    return this.device.createBuffer({ label, size: Math.max(16, Math.ceil(sizeBytes / 16) * 16), usage });
  }

  /** Queues commands. @throws GpuError as `assertHealthy` */
  submit(commands: readonly GPUCommandBuffer[]): void {
    this.assertHealthy();
    this.counters.submits++;
    this.device.queue.submit(commands);
  }

  /** Waits until everything submitted so far has run. @throws GpuError as `assertHealthy` */
  async idle(): Promise<void> {
    await this.wait(this.device.queue.onSubmittedWorkDone());
  }

  /** Frees `buffers`. Dawn returns the memory only at the next submit, hence the empty one. */
  async free(buffers: Iterable<GPUBuffer>): Promise<void> {
    for (const buffer of buffers) buffer.destroy();
    if (this.#failure !== null) return;
    this.device.queue.submit([]);
    await this.device.queue.onSubmittedWorkDone();
  }

  /** Stops recording errors, where another `Gpu` for the same device does so. */
  stopListening(): void {
    this.device.removeEventListener('uncapturederror', this.#onError as EventListener);
  }

  /** Destroys the device and lets the process exit. Pending waits reject with GPU_LOST. Safe to call twice. */
  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.device.destroy();
    void this.device.lost.then(() => this.#platform.release());
  }
}

function uncapturedError(error: GPUError): M2Error {
  const outOfMemory = error.constructor.name === 'GPUOutOfMemoryError';
  return outOfMemory
    ? new GpuError('GPU_OUT_OF_MEMORY', `the GPU ran out of memory: ${error.message}`, {
        hint: 'use a shorter context, a smaller picture or a smaller checkpoint',
      })
    : new GpuError('GPU_VALIDATION', `the GPU refused a command: ${error.message}`);
}
