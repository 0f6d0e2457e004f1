/** A cache of image features by image content, so that an image that comes again costs nothing. */

import { copyRanges } from '../../gpu/copyRanges.ts';
import { Pass } from '../../gpu/pass.ts';
import { freeTensors, sizeBytes, type Tensor, zeros } from '../../gpu/tensor.ts';
import type { PreprocessedImage } from '../../processor/patches.ts';
import { freeImages, imageFeatures, uploadImages } from '../graph/imageFeatures.ts';
import type { ModelParts } from '../graph/modelParts.ts';

/** Room for 18,000 image tokens of the 7B, whose features take 14 KB each. */
export const FEATURE_CACHE_BYTES = 256 * 2 ** 20;

/** A preprocessed image, and its `contentKey`. */
export interface KeyedImage {
  readonly key: string;
  readonly image: PreprocessedImage;
}

export class FeatureCache {
  readonly #model: ModelParts;
  readonly #limitBytes: number;
  /** By `contentKey`, least recently used first; [merged, hiddenSize] f32 each. */
  readonly #features = new Map<string, Tensor>();
  #computed = 0;

  /** @param limitBytes GPU memory that the features may take after `trim` */
  constructor(model: ModelParts, limitBytes: number = FEATURE_CACHE_BYTES) {
    this.#model = model;
    this.#limitBytes = limitBytes;
  }

  /** The number of images that went through the vision tower. */
  get computed(): number {
    return this.#computed;
  }

  /** The total size of all features. */
  get bytes(): number {
    let bytes = 0;
    for (const features of this.#features.values()) bytes += sizeBytes(features);
    return bytes;
  }

  /**
   * Looks the images up, and runs vision tower and projector for those that are missing.
   *
   * @returns [merged, hiddenSize] f32 for each image; owned by the cache, and valid until the next `trim`
   * @throws the signal's reason; KernelError; GpuError
   */
  async of(images: readonly KeyedImage[], signal?: AbortSignal): Promise<Tensor[]> {
    const found: Tensor[] = [];
    for (const { key, image } of images) {
      signal?.throwIfAborted();
      const features = this.#features.get(key) ?? (await this.#compute(image, signal));
      this.#features.delete(key); // moves it to the end: most recently used
      this.#features.set(key, features);
      found.push(features);
    }
    return found;
  }

  /** Frees the least recently used features until the rest is within the limit. */
  async trim(): Promise<void> {
    for (const [key, features] of this.#features) {
      if (this.bytes <= this.#limitBytes) return;
      this.#features.delete(key);
      await freeTensors(this.#model.gpu, [features]);
    }
  }

  /** Another cache with the same features, copied on the GPU. */
  copy(): FeatureCache {
    const { gpu } = this.#model;
    const other = new FeatureCache(this.#model, this.#limitBytes);
    const ranges = Array.from(this.#features, ([key, from]) => {
      const to = zeros(gpu, 'f32', from.shape, from.name);
      other.#features.set(key, to);
      return { from, to, byteOffset: 0, bytes: sizeBytes(from) };
    });
    copyRanges(gpu, ranges);
    return other;
  }

  async destroy(): Promise<void> {
    const features = [...this.#features.values()];
    this.#features.clear();
    await freeTensors(this.#model.gpu, features);
  }

  async #compute(image: PreprocessedImage, signal: AbortSignal | undefined): Promise<Tensor> {
    const { gpu } = this.#model;
    const pass = new Pass(gpu, 'image features');
    const inputs = uploadImages(this.#model, [image]);
    let kept: Tensor | null = null;
    try {
      const features = imageFeatures(pass, this.#model, inputs, null); // [merged, hiddenSize]
      kept = zeros(gpu, 'f32', features.shape, 'image features');
      pass.copy(features, kept);
      await pass.run(signal);
      this.#computed++;
      return kept;
    } catch (error) {
      if (kept) await freeTensors(gpu, [kept]);
      throw error;
    } finally {
      await pass.destroy();
      await freeImages(gpu, inputs);
    }
  }
}

/** A key for an image's features, which depend on patches and grid alone: the SHA-256 of the patches, and the grid. */
export async function contentKey({ pixelValues, gridThw }: PreprocessedImage): Promise<string> {
  // Always there: a page that is not a secure context lacks crypto.subtle, but also WebGPU.
  const digest = await crypto.subtle.digest('SHA-256', pixelValues as Float32Array<ArrayBuffer>);
  const hex = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
  return `${hex} ${gridThw.join('x')}`;
}
