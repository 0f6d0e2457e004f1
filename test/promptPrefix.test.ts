/** The reusable prefix of a cache, token by token, and the cache of image features. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freeTensors, readTensor } from '../src/gpu/tensor.ts';
import { contentKey, FeatureCache, type KeyedImage } from '../src/model/chat/featureCache.ts';
import { reusableTokens, tokenKeys } from '../src/model/chat/promptPrefix.ts';
import { Checkpoint } from '../src/model/checkpoint/checkpoint.ts';
import { folderFiles } from '../src/model/checkpoint/checkpointFolder.node.ts';
import { readModelConfig } from '../src/model/checkpoint/config.ts';
import type { ModelParts } from '../src/model/graph/modelParts.ts';
import { textPositions } from '../src/model/graph/positions.ts';
import { chooseForms } from '../src/model/load/forms.ts';
import { loadWeights } from '../src/model/load/loadWeights.ts';
import { extractPatches } from '../src/processor/patches.ts';
import { livingBuffers } from './livingBuffers.ts';
import { sharedGpu } from './sharedGpu.ts';

const PATCH = 9;
const cat = { key: 'cat', merged: 3 };
const dog = { key: 'dog', merged: 3 };

function described(ids: readonly number[], images = [cat], positions = textPositions(ids.length)) {
  return tokenKeys(ids, positions, images, PATCH);
}

describe('the reusable prefix of a prompt', () => {
  const prompt = [1, 2, PATCH, PATCH, PATCH, 3, 4];
  const { keys } = described(prompt);

  it('ends at the first different token', () => {
    expect(reusableTokens(keys, described([...prompt, 5]))).toBe(7);
    expect(reusableTokens(keys, described([1, 2, PATCH, PATCH, PATCH, 3, 8, 5]))).toBe(6);
    expect(reusableTokens([], described(prompt))).toBe(0);
  });

  it('never contains the last token', () => {
    expect(reusableTokens(keys, described(prompt))).toBe(6);
    expect(reusableTokens(keys, described([1], []))).toBe(0);
  });

  it('ends at a different image', () => {
    expect(reusableTokens(keys, described(prompt, [dog]))).toBe(2);
  });

  it('ends at a different position on any axis', () => {
    for (const axis of [0, 1, 2]) {
      const positions = textPositions(prompt.length);
      positions.positionIds[axis * prompt.length + 5]++;
      expect(reusableTokens(keys, described(prompt, [cat], positions))).toBe(5);
    }
  });

  it('contains no part of an image, even if text comes between its parts', () => {
    expect(reusableTokens(keys.slice(0, 4), described(prompt))).toBe(2);
    const split = [1, PATCH, PATCH, 2, PATCH, 3, 4];
    expect(reusableTokens(described(split).keys.slice(0, 4), described(split))).toBe(1);
    expect(reusableTokens(described(split).keys.slice(0, 5), described(split))).toBe(5);
  });

  it('may contain the first of two images without the second', () => {
    const two = [1, PATCH, PATCH, PATCH, 2, PATCH, PATCH, PATCH, 3];
    const held = described(two, [cat, cat]).keys;
    expect(reusableTokens(held, described(two, [cat, dog]))).toBe(5);
  });
});

describe('image features', () => {
  let parts: ModelParts;
  beforeAll(async () => {
    const files = folderFiles(new URL('../weights/m2-tiny', import.meta.url).pathname);
    const config = await readModelConfig(files);
    const checkpoint = await Checkpoint.open(files, config);
    const gpu = await sharedGpu();
    const forms = chooseForms(gpu, config, {});
    const { kernels, attention } = forms;
    parts = { gpu, config, kernels, attention, weights: await loadWeights(gpu, checkpoint, config, forms) };
    await checkpoint.close();
  });
  afterAll(() => freeTensors(parts.gpu, parts.weights.tensors));

  /** 56 x 56 pixels of one grey: 4 merged tokens. */
  async function grey(level: number): Promise<KeyedImage> {
    const frame = { width: 56, height: 56, data: new Uint8Array(56 * 56 * 3).fill(level) };
    const config = {
      ...{ minPixels: 1, maxPixels: 1e6, patchSize: 14, temporalPatchSize: 2, mergeSize: 2 },
      ...{ imageMean: [0.5, 0.5, 0.5], imageStd: [0.5, 0.5, 0.5], rescaleFactor: 1 / 255 },
    };
    const image = { ...extractPatches([frame, frame], config), resized: frame, processed: frame };
    return { key: await contentKey(image), image };
  }

  it('have the same key only for the same pixels', async () => {
    const [one, same, other] = [await grey(10), await grey(10), await grey(11)];
    expect(same.key).toBe(one.key);
    expect(other.key).not.toBe(one.key);
    const turned = { ...one.image, gridThw: [1, 2, 8] as [number, number, number] };
    expect(await contentKey(turned)).not.toBe(one.key);
  });

  it('of recently used images are kept, the others are freed above the limit', async () => {
    const [a, b, c] = [await grey(0), await grey(100), await grey(255)];
    const living = await livingBuffers(parts.gpu, async () => {
      const two = 2 * 4 * 4 * parts.config.llm.hiddenSize;
      const cache = new FeatureCache(parts, two);
      await cache.of([a, b]);
      await cache.of([a]);
      expect(cache.computed).toBe(2);
      await cache.of([c]);
      await cache.trim(); // b was used least recently
      expect(cache.bytes).toBe(two);
      await cache.of([a, c]);
      expect(cache.computed).toBe(3);
      const [again] = await cache.of([b]);
      expect(cache.computed).toBe(4);

      const copy = cache.copy();
      const [copied] = await copy.of([b]);
      expect(copy.computed).toBe(0);
      expect(await readTensor(parts.gpu, copied)).toEqual(await readTensor(parts.gpu, again));
      await copy.destroy();
      await cache.destroy();
    });
    expect(living).toBe(0);
  });
});
