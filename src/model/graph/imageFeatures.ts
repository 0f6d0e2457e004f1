/** From images to the rows that represent them in the prompt: vision tower and projector. */
import type { Gpu } from '../../gpu/device.ts';
import type { Pass } from '../../gpu/pass.ts';
import { freeTensors, type Tensor, upload } from '../../gpu/tensor.ts';
import { concatenate } from '../../processor/concatenate.ts';
import type { PreprocessedImage } from '../../processor/patches.ts';
import type { ModelParts } from './modelParts.ts';
import { projectFeatures } from './projector.ts';
import { freeVisionLayout, uploadVisionLayout, type VisionLayout, visionTower } from './vision.ts';

/** Images on the GPU. Free them after the pass that reads them has run. */
export interface ImageInputs {
  readonly pixelValues: Tensor; // [patches, patchDim]
  readonly layout: VisionLayout;
}

/** Uploads patches and layout. @param images at least one @throws GpuError GPU_LIMIT, GPU_OUT_OF_MEMORY */
export function uploadImages({ gpu, config }: ModelParts, images: readonly PreprocessedImage[]): ImageInputs {
  const bytes = images.map(
    ({ pixelValues: { buffer, byteOffset, byteLength } }) => new Uint8Array(buffer, byteOffset, byteLength),
  );
  const pixels = new Float32Array(concatenate(bytes).buffer);
  const gridThws = images.map(({ gridThw }) => gridThw);
  const patches = gridThws.reduce((sum, [t, h, w]) => sum + t * h * w, 0);
  return {
    pixelValues: upload(gpu, pixels, [patches, pixels.length / patches], 'pixel_values'),
    layout: uploadVisionLayout(gpu, config.vision, gridThws),
  };
}

/**
 * Records vision tower and projector.
 *
 * @param order [merged] u32, the feature row for each image token; null: in order
 * @returns [merged, hiddenSize] f32, one row for each image token in order
 */
export function imageFeatures(
  pass: Pass,
  model: ModelParts,
  { pixelValues, layout }: ImageInputs,
  order: Tensor | null,
): Tensor {
  const { kernels, weights } = model;
  pass.tap('pixel_values', pixelValues);
  return pass.scope(() => {
    const features = visionTower(pass, model, pixelValues, layout); // [merged, outHiddenSize]
    const embeds = projectFeatures(pass, kernels, weights.projector, features); // [merged, hiddenSize]
    return order ? kernels.gatherRows(pass, { x: embeds, index: order }) : embeds;
  });
}

export async function freeImages(gpu: Gpu, { pixelValues, layout }: ImageInputs): Promise<void> {
  await freeVisionLayout(gpu, layout);
  await freeTensors(gpu, [pixelValues]);
}
