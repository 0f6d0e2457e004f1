/** The first half of a prompt's way through the model: patches and ids in, one row of the decoder's width per token out. */
import type { Gpu } from '../gpu/device.ts';
import { Pass, type TapListener } from '../gpu/pass.ts';
import { freeTensors, type Tensor, upload } from '../gpu/tensor.ts';
import type { PreprocessedImage } from '../processor/patches.ts';
import { embedTokens } from './decoder.ts';
import { projectFeatures } from './projector.ts';
import type { ModelParts } from './sequence.ts';
import { freeVisionLayout, uploadVisionLayout, type VisionLayout, visionTower } from './vision.ts';

/** A prompt's rows on the GPU; free them when the decoder has read them. */
export interface EmbeddedPrompt {
  readonly embeds: Tensor; // [tokens, hiddenSize]
  free(): Promise<void>;
}

/**
 * Runs vision tower, projector, embedding and scatter.
 *
 * @param inputIds [tokens] of the expanded prompt
 * @param featureOrder [merged] which row of the image features each image token gets; default: in order
 * @throws GpuError
 */
export async function embedPrompt(
  model: ModelParts,
  inputIds: readonly number[],
  images: readonly PreprocessedImage[],
  { tap, featureOrder }: { tap?: TapListener; featureOrder?: Uint32Array } = {},
): Promise<EmbeddedPrompt> {
  const { gpu, kernels, weights } = model;
  const pass = new Pass(gpu, 'embed', tap);
  const inputs = uploadInputs(model, inputIds, images, featureOrder);
  const free = async () => {
    await pass.destroy();
    await freeInputs(gpu, inputs);
  };
  try {
    const { ids, image } = inputs;
    const placed = image && { imageEmbeds: imageFeatures(pass, model, image), imageTokens: image.tokens };
    const embeds = embedTokens(pass, kernels, weights.decoder, ids, placed); // [tokens, hiddenSize]
    await pass.submit();
    await gpu.idle();
    return { embeds, free };
  } catch (error) {
    await free();
    throw error;
  }
}

/** Vision tower and projector: [merged, hiddenSize], in the order in which the image tokens take them. */
function imageFeatures(
  pass: Pass,
  { kernels, weights, config }: ModelParts,
  { pixelValues, layout, order }: ImageInputs,
): Tensor {
  pass.tap('pixel_values', pixelValues);
  return pass.scope(() => {
    const features = visionTower(pass, kernels, weights.vision, config.vision, pixelValues, layout); // [merged, outHiddenSize]
    const embeds = projectFeatures(pass, kernels, weights.projector, features); // [merged, hiddenSize]
    return order ? kernels.gatherRows(pass, { x: embeds, index: order }) : embeds;
  });
}

interface ImageInputs {
  readonly pixelValues: Tensor; // [patches, patchDim]
  readonly tokens: Tensor; // [merged] u32: places of the image patch tokens in the prompt
  readonly order: Tensor | null; // [merged] u32
  readonly layout: VisionLayout;
}

interface Inputs {
  readonly ids: Tensor; // [tokens] u32
  readonly image: ImageInputs | null;
}

function uploadInputs(
  { gpu, config }: ModelParts,
  inputIds: readonly number[],
  images: readonly PreprocessedImage[],
  featureOrder: Uint32Array | undefined,
): Inputs {
  const ids = upload(gpu, Uint32Array.from(inputIds), [inputIds.length], 'input ids');
  if (images.length === 0) return { ids, image: null };

  const pixels = concatenate(images.map(({ pixelValues }) => pixelValues));
  const gridThws = images.map(({ gridThw }) => gridThw);
  const patches = gridThws.reduce((sum, [t, h, w]) => sum + t * h * w, 0);
  const places = inputIds.flatMap((id, index) => (id === config.llm.imagePatchToken ? [index] : []));
  return {
    ids,
    image: {
      pixelValues: upload(gpu, pixels, [patches, pixels.length / patches], 'pixel_values'),
      tokens: upload(gpu, Uint32Array.from(places), [places.length], 'image tokens'),
      order: featureOrder ? upload(gpu, featureOrder, [featureOrder.length], 'feature order') : null,
      layout: uploadVisionLayout(gpu, config.vision, gridThws),
    },
  };
}

async function freeInputs(gpu: Gpu, { ids, image }: Inputs): Promise<void> {
  if (image) {
    await freeVisionLayout(gpu, image.layout);
    await freeTensors(gpu, [image.pixelValues, image.tokens, ...(image.order ? [image.order] : [])]);
  }
  await freeTensors(gpu, [ids]);
}

function concatenate(arrays: readonly Float32Array[]): Float32Array {
  const joined = new Float32Array(arrays.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const array of arrays) {
    joined.set(array, offset);
    offset += array.length;
  }
  return joined;
}
