import { KernelError } from '../errors.ts';
import type { Bindings, Constants, KernelDeclaration } from './declaration.ts';
import type { Gpu } from './device.ts';
import { parseWgsl, type WgslInterface } from './wgslInterface.ts';

/** A kernel as one device runs it. */
export interface CompiledKernel {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  readonly wgsl: WgslInterface;
}

/**
 * Compiles a kernel for one set of constants; the second call with the same ones gets the same pipeline.
 *
 * @throws KernelError KERNEL_INTERFACE when text and declaration differ, KERNEL_FEATURE when the text enables what the device does
 *   not have, KERNEL_COMPILE with file, line and column
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

/**
 * Reads a kernel's text and compares it with the declaration, without compiling it.
 *
 * @throws KernelError KERNEL_INTERFACE, KERNEL_FEATURE; KERNEL_COMPILE when the text can't be read
 */
export async function readKernel(
  gpu: Gpu,
  declaration: KernelDeclaration,
): Promise<{ text: string; wgsl: WgslInterface }> {
  const text = await kernelText(gpu, declaration);
  const wgsl = parseWgsl(text);
  checkInterface(declaration, wgsl);
  checkFeatures(gpu, declaration, wgsl);
  return { text, wgsl };
}

/** The exact text that is given to the compiler: the kernel's own, then its helpers. */
export async function kernelText(gpu: Gpu, { name, code, helpers = [] }: KernelDeclaration): Promise<string> {
  const own = typeof code === 'string' ? code : gpu.readText(code);
  try {
    return (await Promise.all([own, ...helpers.map((url) => gpu.readText(url))])).join('\n');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new KernelError('KERNEL_COMPILE', `${name}: its text can't be read (${reason})`, {
      kernel: name,
      cause,
      hint: 'check the URL in `code`, and that .wgsl files are copied beside the compiled sources',
    });
  }
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

  // Explicit, never 'auto': that drops a binding which the text does not use, and then refuses the bind group.
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

/** Compares the declaration with the text: names, order, access and element types; every declared param is a field of Params. */
function checkInterface({ name, bindings, ...declaration }: KernelDeclaration, wgsl: WgslInterface): void {
  const fail = (problem: string, binding?: string): never => {
    throw new KernelError('KERNEL_INTERFACE', `${name}: ${problem}`, {
      kernel: name,
      binding,
      hint: 'make the declaration and the WGSL text say the same',
    });
  };
  const inText = wgsl.bindings.filter(({ access }) => access !== 'uniform');
  const declared = Object.entries(bindings);
  for (const [index, [binding, { access, dtype, layout }]] of declared.entries()) {
    const found = inText.find((entry) => entry.index === index);
    if (!found) fail(`the text has no @binding(${index}) for ${binding}`, binding);
    else {
      const wantedAccess = access === 'read' || access === 'weights' ? 'read' : 'read_write';
      const wantedType = dtype !== 'weights' ? dtype : layout === 'panels' ? 'vec4u' : 'u32';
      const isVector = found.type === `vec4${dtype[0]}` || found.type === `vec2${dtype[0]}`; // the same values, several at a time
      if (found.name !== binding)
        fail(`@binding(${index}) is ${found.name}, declared is ${binding}`, binding);
      if (found.access !== wantedAccess)
        fail(`${binding} is ${found.access}, declared is ${wantedAccess}`, binding);
      if (found.type !== wantedType && !isVector)
        fail(`${binding} holds ${found.type}, declared is ${wantedType}`, binding);
    }
  }
  const extra = inText.find(({ index }) => index >= declared.length);
  if (extra) fail(`the text binds ${extra.name}, which is not declared`, extra.name);
  const uniform = wgsl.bindings.find(({ access }) => access === 'uniform');
  if (uniform && uniform.index !== declared.length) fail('params must be the last binding', 'params');
  for (const param of Object.keys(declaration.params ?? {})) {
    if (!wgsl.params.some((field) => field.name === param)) fail(`struct Params has no field ${param}`);
  }
}

function checkFeatures(gpu: Gpu, { name }: KernelDeclaration, { features }: WgslInterface): void {
  const missing = features.find((feature) => !gpu.device.features.has(feature));
  if (missing === undefined) return;
  throw new KernelError(
    'KERNEL_FEATURE',
    `${name}: needs ${missing}, which ${gpu.description} does not have`,
    {
      kernel: name,
      expected: missing,
      hint: 'run it on another adapter, or give a text that does without',
    },
  );
}

function compileError(
  declaration: KernelDeclaration,
  error: GPUCompilationMessage,
  text: string,
): KernelError {
  const { lineNum: line, linePos: column, message } = error;
  const source = text.split('\n')[line - 1]?.trim() ?? '';
  return new KernelError(
    'KERNEL_COMPILE',
    `${fileOf(declaration)}:${line}:${column} ${message.trim()} in \`${source}\``,
    { kernel: declaration.name, line, column },
  );
}

function fileOf({ code, name }: KernelDeclaration): string {
  return typeof code === 'string' ? name : code.pathname.slice(code.pathname.lastIndexOf('/') + 1);
}
