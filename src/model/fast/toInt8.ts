/** Linear layers in 8-bit integers: what `precision: 'fast'` makes of them at load. */
import { Pass } from '../../gpu/pass.ts';
import { sizeBytes, zeros } from '../../gpu/tensor.ts';
import { INT8_BLOCK } from '../../kernels/fast/linear/gemvInt8.ts';
import type { ModelKernels } from '../load/kernelChoice.ts';
import type { Linear, WeightLoader } from '../load/weightLoader.ts';

/**
 * Turns a layer's weight into integers on the GPU, and frees it.
 *
 * @returns the layer as it is where its rows are not made of whole blocks, or its integers don't fit a binding
 */
export async function toInt8(loader: WeightLoader, kernels: ModelKernels, layer: Linear): Promise<Linear> {
  const { gpu } = loader;
  const { weight, bias } = layer;
  const [outDim, inDim] = weight.shape;
  const panels = Math.ceil(outDim / 8);
  const shape = [panels, inDim / 4, 8];
  if (inDim % INT8_BLOCK !== 0 || sizeBytes({ dtype: 'u32', shape }) > gpu.maxBindingBytes) return layer;

  const quants = zeros(gpu, 'u32', shape, `${weight.name} in 8 bits`); // [panels, inDim / 4, 8]
  const scales = zeros(gpu, 'f32', [panels, inDim / INT8_BLOCK, 8], `${weight.name} scales`); // [panels, inDim / 32, 8]
  const pass = new Pass(gpu, 'to 8 bits');
  kernels.quantizePanels(pass, { weight, quants, scales });
  try {
    await pass.submit();
  } finally {
    await pass.destroy();
    await loader.replace(weight, quants, scales);
  }
  return { weight: quants, bias, scales };
}
