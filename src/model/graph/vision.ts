/**
 * The vision tower: patches in, one feature row for each 2x2 patches out. docs/MODEL.md, section 4.
 *
 * Shapes: patches counts all images; merged = patches / 4; patchDim = 3 · 2 · 14 · 14; headDim = hiddenSize / numHeads.
 */
import type { Gpu } from '../../gpu/device.ts';
import type { Pass } from '../../gpu/pass.ts';
import { freeTensors, reshape, type Tensor, upload } from '../../gpu/tensor.ts';
import type { PlainKernels } from '../../kernels/plain/plainKernels.ts';
import type { VisionConfig } from '../checkpoint/config.ts';
import type { Attention } from './attention.ts';
import { addLinear, gatedLinear, geluLinear, linear } from './linear.ts';
import type { ModelParts } from './modelParts.ts';
import { visionRotaryAngles } from './rotaryTables.ts';
import type { VisionBlockWeights, VisionWeights } from './weights.ts';
import { type GridThw, inversePermutation, windowLayout } from './windows.ts';

const NORM_EPS = 1e-6; // fixed in the published code, not read from the config

/** What the tower needs to know about the images: window order, attention segments and rotary angles, on the GPU. */
export interface VisionLayout {
  readonly windowIndex: Tensor; // [merged] u32: raster index of each unit in window order
  readonly rasterIndex: Tensor; // [merged] u32: the inverse, window-order index of each unit in raster order
  readonly windowSegments: Tensor; // [patches, 2] u32: begin and end (exclusive) of the patch's window
  readonly frameSegments: Tensor; // [patches, 2] u32: begin and end (exclusive) of the patch's frame
  readonly cosAngles: Tensor; // [patches, headDim / 2] f32, in window order
  readonly sinAngles: Tensor; // [patches, headDim / 2] f32
  /** The angles themselves, in radians, for taps. */
  readonly angles: Float32Array; // [patches, headDim / 2]
}

/** Uploads the layout for images with these grids. @throws GpuError. Follows: qwen2_5_vit.py, get_window_index, rot_pos_emb */
export function uploadVisionLayout(
  gpu: Gpu,
  config: VisionConfig,
  gridThws: readonly GridThw[],
): VisionLayout {
  const { windowIndex, cuWindowSeqlens, cuSeqlens } = windowLayout(gridThws, config);
  const merged = windowIndex.length;
  const unit = config.spatialMergeSize ** 2; // patches per merged token
  const halfDim = config.headDim / 2;
  const angles = inWindowOrder(visionRotaryAngles(gridThws, config), windowIndex, unit * halfDim);
  const patches = merged * unit;
  return {
    windowIndex: upload(gpu, windowIndex, [merged], 'windowIndex'),
    rasterIndex: upload(gpu, inversePermutation(windowIndex), [merged], 'rasterIndex'),
    windowSegments: upload(gpu, segmentOfEach(cuWindowSeqlens), [patches, 2], 'windowSegments'),
    frameSegments: upload(gpu, segmentOfEach(cuSeqlens), [patches, 2], 'frameSegments'),
    cosAngles: upload(gpu, angles.map(Math.cos), [patches, halfDim], 'cosAngles'),
    sinAngles: upload(gpu, angles.map(Math.sin), [patches, halfDim], 'sinAngles'),
    angles,
  };
}

export async function freeVisionLayout(gpu: Gpu, { angles: _, ...tensors }: VisionLayout): Promise<void> {
  await freeTensors(gpu, Object.values(tensors));
}

/**
 * Records the tower.
 *
 * @param pixelValues [patches, patchDim] f32, in merge order
 * @returns [merged, outHiddenSize] f32, in raster order
 * Follows: qwen2_5_vit.py, Qwen2_5_VisionTransformer.forward
 */
export function visionTower(
  pass: Pass,
  { kernels, attention, weights: { vision: weights }, config: { vision: config } }: ModelParts,
  pixelValues: Tensor,
  layout: VisionLayout,
): Tensor {
  const patches = pixelValues.shape[0];
  const unit = config.spatialMergeSize ** 2;
  const merged = patches / unit;
  const unitDim = unit * config.hiddenSize;

  const embedded = linear(pass, pixelValues, weights.patchEmbed); // [patches, hiddenSize]
  pass.tap('vision.patch_embed', embedded);
  pass.tapArray('vision.rotary_windowed', () => layout.angles, layout.cosAngles.shape);

  const units = reshape(embedded, [merged, unitDim]); // the four patches of a unit stay together
  const windowed = kernels.gatherRows(pass, { x: units, index: layout.windowIndex }); // [merged, unitDim]
  const hidden = reshape(windowed, [patches, config.hiddenSize]); // [patches, hiddenSize]

  for (const [index, block] of weights.blocks.entries()) {
    const full = config.fullAttentionBlockIndexes.includes(index);
    const segments = full ? layout.frameSegments : layout.windowSegments;
    pass.scope(() => visionBlock(pass, kernels, attention, block, config, hidden, segments, layout, index));
    pass.tap(`vision.block${index}`, hidden);
  }

  const features = patchMerger(pass, kernels, weights, hidden, merged); // [merged, outHiddenSize]
  pass.tap('vision.merger', features);
  const output = kernels.gatherRows(pass, { x: features, index: layout.rasterIndex }); // [merged, outHiddenSize]
  pass.tap('vision.output', output);
  return output;
}

/** One block, in place on `hidden`. Follows: qwen2_5_vit.py, Qwen2_5_VLVisionBlock */
function visionBlock(
  pass: Pass,
  kernels: PlainKernels,
  attention: Attention,
  block: VisionBlockWeights,
  { numHeads }: VisionConfig,
  hidden: Tensor, // [patches, hiddenSize]
  segments: Tensor, // [patches, 2]
  { cosAngles, sinAngles }: VisionLayout,
  index: number,
): undefined {
  const normed = kernels.rmsNorm(pass, { x: hidden, weight: block.norm1 }, { eps: NORM_EPS }); // [patches, hiddenSize]
  const qkv = linear(pass, normed, block.qkv); // [patches, 3 · hiddenSize]
  kernels.visionRope(pass, { qkv, cosAngles, sinAngles }, { numHeads });
  pass.tap(`vision.block${index}.attn.qkv`, qkv);
  const attended = attention.vision(pass, qkv, segments, numHeads); // [patches, hiddenSize]
  pass.tap(`vision.block${index}.attn.heads`, attended);
  addLinear(pass, hidden, attended, block.proj);

  const normed2 = kernels.rmsNorm(pass, { x: hidden, weight: block.norm2 }, { eps: NORM_EPS }); // [patches, hiddenSize]
  const activated = gatedLinear(pass, normed2, block.gateUp); // [patches, intermediateSize]
  pass.tap(`vision.block${index}.mlp.activated`, activated);
  addLinear(pass, hidden, activated, block.down);
}

/** Merges the four patches of each unit. Follows: qwen2_5_vit.py, Qwen2_5_VLPatchMerger */
function patchMerger(
  pass: Pass,
  kernels: PlainKernels,
  weights: VisionWeights,
  hidden: Tensor, // [patches, hiddenSize]
  merged: number,
): Tensor {
  const unitDim = (hidden.shape[0] / merged) * hidden.shape[1];
  const normed = kernels.rmsNorm(pass, { x: hidden, weight: weights.mergerNorm }, { eps: NORM_EPS }); // [patches, hiddenSize]
  const units = reshape(normed, [merged, unitDim]); // [merged, 4 · hiddenSize]
  const inner = geluLinear(pass, units, weights.mergerIn); // [merged, 4 · hiddenSize]
  return linear(pass, inner, weights.mergerOut); // [merged, outHiddenSize]
}

/** Reorders rows of `rowLength` numbers: row i of the result is row `index[i]`. */
function inWindowOrder(values: Float32Array, index: Uint32Array, rowLength: number): Float32Array {
  const ordered = new Float32Array(values.length);
  for (let row = 0; row < index.length; row++) {
    const from = index[row] * rowLength;
    ordered.set(values.subarray(from, from + rowLength), row * rowLength);
  }
  return ordered;
}

/** The segment of each row, from the boundaries: [0, 4, 12] → four times [0, 4], then eight times [4, 12]. */
function segmentOfEach(boundaries: Uint32Array): Uint32Array {
  const rows = boundaries[boundaries.length - 1];
  const segments = new Uint32Array(2 * rows);
  for (let i = 1; i < boundaries.length; i++) {
    for (let row = boundaries[i - 1]; row < boundaries[i]; row++) {
      segments[2 * row] = boundaries[i - 1];
      segments[2 * row + 1] = boundaries[i];
    }
  }
  return segments;
}
