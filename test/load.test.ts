import { describe, expect, it } from 'vitest';
import { openGpu } from '../src/gpu/device.ts';
import { packedPanels, paddedRows } from '../src/gpu/panels.ts';
import { freeTensors, readTensor } from '../src/gpu/tensor.ts';
import type { ByteSource, ModelFiles } from '../src/model/checkpoint/byteSource.ts';
import type { Checkpoint } from '../src/model/checkpoint/checkpoint.ts';
import { folderFiles } from '../src/model/checkpoint/checkpointFolder.node.ts';
import { type LoadProgress, WeightLoader } from '../src/model/load/weightLoader.ts';
import { M2Reasoning } from '../src/model/m2Reasoning.ts';
import { checkpointFiles } from '../src/parity/runParity.node.ts';
import { livingBuffers } from './livingBuffers.ts';
import { goldens } from './readTensors.ts';
import { sharedGpu } from './sharedGpu.ts';

const tiny = folderFiles(new URL('../weights/m2-tiny', import.meta.url).pathname);
const gpu = await sharedGpu();

/** The same files, with `onRead` called before every read of weights. */
function watched(
  files: ModelFiles,
  onRead: (source: ByteSource, offset: number, bytes: number) => void,
): ModelFiles {
  return {
    name: files.name,
    async open(fileName) {
      const source = await files.open(fileName);
      if (source === null || !fileName.endsWith('.safetensors')) return source;
      return {
        ...source,
        async readInto(offset, target) {
          onRead(source, offset, target.byteLength);
          await source.readInto(offset, target);
        },
      };
    },
  };
}

describe('loading', () => {
  it('reads at most 4 MiB at a time, even if a tensor has 52 MB', async () => {
    let largest = 0;
    const files = watched(await checkpointFiles(goldens, 'seven-b-slice'), (_, __, bytes) => {
      largest = Math.max(largest, bytes);
    });
    const model = await M2Reasoning.load(files, { gpu });
    await model.destroy();
    expect(largest).toBeLessThanOrEqual(4 * 2 ** 20);
    expect(largest).toBeGreaterThan(2 ** 20);
  });

  it('packs rows even if eight of them exceed a chunk', async () => {
    const shape = [9, 300_000]; // two panels, 4.8 MB and one row of 0.6 MB
    const stored = Uint16Array.from({ length: 9 * 300_000 }, (_, i) => i % 0x7f80);
    const bytes = new Uint8Array(stored.buffer);
    const entry = {
      name: 'wide.weight',
      dtype: 'bf16',
      shape,
      sizeBytes: bytes.length,
      file: 'wide.safetensors',
    };
    const checkpoint = {
      entries: new Map([[entry.name, entry]]),
      entry: () => entry,
      has: (name: string) => name === entry.name,
      readInto: async (_: string, offset: number, target: Uint8Array) =>
        target.set(bytes.subarray(offset, offset + target.length)),
    } as unknown as Checkpoint;
    const loader = new WeightLoader(gpu, checkpoint, 'panels', () => {});
    const { weight } = await loader.linear('wide');
    const words = { ...weight, dtype: 'u32', shape: [(16 * 300_000) / 2] } as const;
    const expected = packedPanels(stored, 300_000) as Uint16Array;
    const read = new Uint8Array((await readTensor(gpu, words)).buffer);
    expect(Buffer.compare(read, new Uint8Array(expected.buffer))).toBe(0);
    await freeTensors(gpu, loader.tensors);
  });

  it('reports progress up to the last byte', async () => {
    const events: LoadProgress[] = [];
    const model = await M2Reasoning.load(tiny, { gpu, onProgress: (event) => events.push(event) });
    await model.destroy();
    const last = events[events.length - 1];
    expect(last.loadedBytes).toBe(last.totalBytes);
    expect(events.every(({ loadedBytes }, i) => i === 0 || loadedBytes > events[i - 1].loadedBytes)).toBe(
      true,
    );
  });

  it('keeps 16-bit weights in 16 bits, and a tied embedding once', async () => {
    const sizes: number[] = [];
    const { device } = gpu;
    const original = device.createBuffer.bind(device);
    device.createBuffer = (descriptor) => {
      sizes.push(descriptor.size);
      return original(descriptor);
    };
    const model = await M2Reasoning.load(folderFiles(`${goldens}checkpoints/rope-1d-f16`), { gpu });
    device.createBuffer = original;
    const { vocabSize, hiddenSize } = model.config.llm;
    await model.destroy();
    const table = 2 * paddedRows(vocabSize) * hiddenSize;
    expect(sizes.filter((size) => size === table)).toHaveLength(1);
    const files = 1_862_456; // model.safetensors, its header included
    const zeroBiases = 4 * (72 + 144 + 2 * 200 + vocabSize); // f32, one for each width of a layer without bias
    const padding = 1.02; // panels are filled up to eight rows, buffers to 16 bytes
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(padding * (files + zeroBiases));
  });

  it('frees everything with destroy, even after a generation', async () => {
    const left = await livingBuffers(gpu, async () => {
      const model = await M2Reasoning.load(tiny, { gpu });
      await model.generate([{ role: 'user', content: 'Is there a red circle?' }], { maxNewTokens: 3 }).result;
      await model.destroy();
    });
    expect(left).toBe(0);
  });

  it('that fails at any read rejects with a typed error and leaves nothing on the GPU', async () => {
    for (const failAt of [1, 3, 20, 60]) {
      let reads = 0;
      const files = watched(tiny, (source) => {
        if (++reads === failAt) throw Object.assign(new Error('EIO'), { source: source.name });
      });
      const left = await livingBuffers(gpu, async () => {
        await expect(M2Reasoning.load(files, { gpu })).rejects.toThrow('EIO');
      });
      expect(left).toBe(0);
    }
  });

  it('that a progress listener refuses rejects with its error and leaves nothing on the GPU', async () => {
    const left = await livingBuffers(gpu, async () => {
      const onProgress = ({ loadedBytes }: LoadProgress) => {
        if (loadedBytes > 1e6) throw new Error('stop');
      };
      await expect(M2Reasoning.load(tiny, { gpu, onProgress })).rejects.toThrow('stop');
    });
    expect(left).toBe(0);
  });

  it('on a lost device is GPU_LOST', async () => {
    const lost = await openGpu();
    lost.destroy();
    await expect(lost.idle()).rejects.toMatchObject({ code: 'GPU_LOST' });
    await expect(M2Reasoning.load(tiny, { gpu: lost })).rejects.toMatchObject({ code: 'GPU_LOST' });
  });

  it('with rows longer than a binding is GPU_LIMIT, naming the tensor', async () => {
    const small = await sharedGpu(256);
    await expect(M2Reasoning.load(tiny, { gpu: small })).rejects.toMatchObject({
      code: 'GPU_LIMIT',
      details: { tensor: 'vision_model.patch_embed.proj.weight' },
    });
  });
});
