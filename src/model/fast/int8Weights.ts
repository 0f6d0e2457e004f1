/** Weights in 8-bit integers, for the decoder's linear layers with `precision: 'fast'`. */
import { Pass } from '../../gpu/pass.ts';
import { sizeBytes, type Tensor, zeros } from '../../gpu/tensor.ts';
import { INT8_BLOCK } from '../../kernels/fast/linear/gemvInt8.ts';
import type { LinearWeights } from '../graph/linear.ts';
import type { WeightLoader } from '../load/weightLoader.ts';
import type { KernelLookup } from './kernelLookup.ts';

export interface Int8Weights {
  readonly quants: Tensor; // [ceil(outDim / 8), inDim / 4, 8] u32, four integers per word; see quantizePanels
  readonly scales: Tensor; // [ceil(outDim / 8), inDim / 32, 8] f32
  readonly bias: Tensor; // [outDim]
}

/**
 * Quantizes a weight in panels on the GPU and frees the original.
 *
 * @returns null, with the weight unchanged, if inDim is not a multiple of the block size or the integers don't fit one binding
 * @throws KernelError; GpuError
 */
export async function toInt8(
  loader: WeightLoader,
  lookup: KernelLookup,
  { weight, bias }: LinearWeights,
): Promise<Int8Weights | null> {
  const { gpu } = loader;
  const [outDim, inDim] = weight.shape;
  const panels = Math.ceil(outDim / 8);
  const shape = [panels, inDim / 4, 8];
  if (inDim % INT8_BLOCK !== 0 || sizeBytes({ dtype: 'u32', shape }) > gpu.maxBindingBytes) return null;

  const quants = zeros(gpu, 'u32', shape, `${weight.name} in 8 bits`); // [panels, inDim / 4, 8]
  const scales = zeros(gpu, 'f32', [panels, inDim / INT8_BLOCK, 8], `${weight.name} scales`); // [panels, inDim / 32, 8]
  const pass = new Pass(gpu, 'to 8 bits');
  lookup.find('quantizePanels')(pass, { weight, quants, scales });
  try {
    await pass.submit();
  } finally {
    await pass.destroy();
    await loader.replace(weight, quants, scales);
  }
  return { quants, scales, bias };
}
