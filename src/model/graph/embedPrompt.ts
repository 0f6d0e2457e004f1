/** Embeds a prompt: patches and token ids in, one row of the decoder's width per token out. */
import { Pass, type PassListener, type TapListener } from '../../gpu/pass.ts';
import { freeTensors, type Tensor, upload } from '../../gpu/tensor.ts';
import type { PreprocessedImage } from '../../processor/patches.ts';
import { embedTokens } from './embedTokens.ts';
import { freeImages, imageFeatures, uploadImages } from './imageFeatures.ts';
import type { ModelParts } from './modelParts.ts';

/** An embedded prompt on the GPU. Free it after the decoder has read it. */
export interface EmbeddedPrompt {
  readonly embeds: Tensor; // [tokens, hiddenSize] f32
  free(): Promise<void>;
}

export interface EmbedOptions {
  readonly tap?: TapListener;
  readonly onPass?: PassListener;
  /** [merged] the row of image features for each image token; default: in order. */
  readonly featureOrder?: Uint32Array;
  /** Features [merged, hiddenSize] f32 of each image, if they are already known. `images` must then be empty. */
  readonly features?: readonly Tensor[];
  readonly signal?: AbortSignal;
}

/**
 * Runs vision tower, projector, embedding and scatter.
 *
 * @param inputIds [tokens] of the expanded prompt, or of the part of it that is not cached
 * @param images the images whose patch tokens are in `inputIds`
 * @throws the signal's reason; KernelError; GpuError
 */
export async function embedPrompt(
  model: ModelParts,
  inputIds: readonly number[],
  images: readonly PreprocessedImage[],
  { tap, onPass, featureOrder, features = [], signal }: EmbedOptions = {},
): Promise<EmbeddedPrompt> {
  const { gpu, config } = model;
  const pass = new Pass(gpu, 'embed', tap);
  const inputs: Tensor[] = [];
  const put = (values: readonly number[] | Uint32Array, name: string) => {
    const tensor = upload(gpu, Uint32Array.from(values), [values.length], name);
    inputs.push(tensor);
    return tensor;
  };
  const pictures = images.length > 0 ? uploadImages(model, images) : null;
  const free = async () => {
    await pass.destroy();
    if (pictures) await freeImages(gpu, pictures);
    await freeTensors(gpu, inputs);
  };
  try {
    const ids = put(inputIds, 'input ids');
    const order = pictures && featureOrder ? put(featureOrder, 'feature order') : null;
    const known = pictures ? [imageFeatures(pass, model, pictures, order)] : features;
    const places = inputIds.flatMap((id, index) => (id === config.llm.imagePatchToken ? [index] : []));
    const placed = known.map((imageEmbeds) => {
      const rows = pictures ? places.length : imageEmbeds.shape[0];
      return { imageEmbeds, imageTokens: put(places.splice(0, rows), 'image tokens') };
    });
    const embeds = embedTokens(pass, model, ids, placed); // [tokens, hiddenSize]
    await pass.run(signal);
    await onPass?.(pass);
    return { embeds, free };
  } catch (error) {
    await free();
    throw error;
  }
}
