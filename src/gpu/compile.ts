import { KernelError } from '../errors.ts';
import { compileError, fileOf } from './compileError.ts';
import type { Bindings, Constants, KernelDeclaration } from './declaration.ts';
import type { Gpu } from './device.ts';
import { readKernel } from './readKernel.ts';
import type { WgslInterface } from './wgslInterface.ts';

/** A kernel compiled for one device. */
export interface CompiledKernel {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  readonly wgsl: WgslInterface;
}

/**
 * Compiles a kernel for one set of constants, once per device: later calls return the same pipeline.
 *
 * @throws KernelError KERNEL_INTERFACE if text and declaration differ, KERNEL_FEATURE if the text enables a feature that the
 *   device lacks, KERNEL_COMPILE with file, line and column
 */
export function compileKernel(
  gpu: Gpu,
  declaration: KernelDeclaration,
  constants: Constants,
): Promise<CompiledKernel> {
  const variants = gpu.pipelines.get(declaration) ?? new Map<string, Promise<unknown>>();
  gpu.pipelines.set(declaration, variants);
  const key = JSON.stringify(constants);
  let compiled = variants.get(key) as Promise<CompiledKernel> | undefined;
  if (compiled === undefined) {
    compiled = compile(gpu, declaration, constants);
    variants.set(key, compiled);
  }
  return compiled;
}

async function compile(
  gpu: Gpu,
  declaration: KernelDeclaration,
  constants: Constants,
): Promise<CompiledKernel> {
  const { name } = declaration;
  const { text, wgsl } = await readKernel(gpu, declaration);
  const { device } = gpu;
  device.pushErrorScope('validation');
  const module = device.createShaderModule({ label: name, code: text });
  const [info] = await Promise.all([module.getCompilationInfo(), device.popErrorScope()]);
  const error = info.messages.find(({ type }) => type === 'error');
  if (error) throw compileError(declaration, error, text);

  // Never 'auto': it drops bindings that the text does not use, and the bind group then fails.
  const layout = device.createBindGroupLayout({
    label: name,
    entries: layoutEntries(declaration.bindings, wgsl),
  });
  try {
    const pipeline = await device.createComputePipelineAsync({
      label: name,
      layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module, entryPoint: 'main', constants: { ...constants } },
    });
    return { pipeline, layout, wgsl };
  } catch (cause) {
    gpu.assertHealthy();
    const reason = cause instanceof Error ? cause.message.trim() : String(cause);
    throw new KernelError('KERNEL_COMPILE', `${fileOf(declaration)}: ${reason}`, { kernel: name, cause });
  }
}

function layoutEntries(bindings: Bindings, wgsl: WgslInterface): GPUBindGroupLayoutEntry[] {
  const visibility = 0x4; // GPUShaderStage.COMPUTE
  const entries: GPUBindGroupLayoutEntry[] = Object.values(bindings).map(({ access }, binding) => ({
    binding,
    visibility,
    buffer: { type: access === 'read' || access === 'weights' ? 'read-only-storage' : 'storage' },
  }));
  if (wgsl.params.length > 0) {
    entries.push({ binding: entries.length, visibility, buffer: { type: 'uniform' } });
  }
  return entries;
}
