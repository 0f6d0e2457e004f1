import type { KernelDeclaration } from '../src/gpu/declaration.ts';
import type { Gpu } from '../src/gpu/device.ts';
import { kernelText } from '../src/gpu/readKernel.ts';

/** Whether a kernel needs f16 and the adapter lacks it. It must then give a KERNEL_FEATURE error. */
export async function lacksF16(gpu: Gpu, declaration: KernelDeclaration): Promise<boolean> {
  return (
    !gpu.device.features.has('shader-f16') && (await kernelText(gpu, declaration)).includes('enable f16;')
  );
}
