/** Image features that were computed before, by what the picture holds: a picture that comes again costs nothing. */
import { Pass } from '../../gpu/pass.ts';
import { copyRanges, freeTensors, sizeBytes, type Tensor, zeros } from '../../gpu/tensor.ts';
import type { PreprocessedImage } from '../../processor/patches.ts';
import { freeImages, imageFeatures, uploadImages } from '../graph/imageFeatures.ts';
import type { ModelParts } from '../graph/modelParts.ts';

/** Of the 7B's features, 14 KB a merged token, that is room for 18,000 tokens of images. */
export const FEATURE_CACHE_BYTES = 256 * 2 ** 20;

/** A preprocessed image, and its `contentKey`. */
export interface KeyedImage {
  readonly key: string;
  readonly image: PreprocessedImage;
}

export class FeatureCache {
  readonly #model: ModelParts;
  readonly #limitBytes: number;
  /** Least recently used first. [merged, hiddenSize] f32 each */
  readonly #features = new Map<string, Tensor>();
  #computed = 0;

  /** @param limitBytes of GPU memory that `trim` brings the features down to */
  constructor(model: ModelParts, limitBytes: number = FEATURE_CACHE_BYTES) {
    this.#model = model;
    this.#limitBytes = limitBytes;
  }

  /** How many images went through the vision tower. */
  get computed(): number {
    return this.#computed;
  }

  /** Bytes that all features take together. */
  get bytes(): number {
    let bytes = 0;
    for (const features of this.#features.values()) bytes += sizeBytes(features);
    return bytes;
  }

  /**
   * Looks the images up, and runs vision tower and projector for those that are not there.
   *
   * @returns [merged, hiddenSize] f32 of each image; they stay the cache's own, and live until the next `trim`
   * @throws the signal's reason; GpuError
   */
  async of(images: readonly KeyedImage[], signal?: AbortSignal): Promise<Tensor[]> {
    const found: Tensor[] = [];
    for (const { key, image } of images) {
      signal?.throwIfAborted();
      const features = this.#features.get(key) ?? (await this.#compute(image, signal));
      this.#features.delete(key); // and to the end, as the one used last
      this.#features.set(key, features);
      found.push(features);
    }
    return found;
  }

  /** Frees the features that were not used for longest, until the rest is within the limit. */
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

/** The same for two images exactly when the vision tower gives them the same features: SHA-256 of the patches, and the grid. */
export async function contentKey({ pixelValues, gridThw }: PreprocessedImage): Promise<string> {
  // A page without a secure context has no crypto.subtle, but no WebGPU either.
  const digest = await crypto.subtle.digest('SHA-256', pixelValues as Float32Array<ArrayBuffer>);
  const hex = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
  return `${hex} ${gridThw.join('x')}`;
}
