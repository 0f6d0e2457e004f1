/** Reads a kernel's WGSL text and checks it against the declaration. */
import { KernelError } from '../errors.ts';
import type { KernelDeclaration } from './declaration.ts';
import type { Gpu } from './device.ts';
import { parseWgsl, type WgslInterface } from './wgslInterface.ts';

/**
 * Reads a kernel's text and checks it against the declaration, without compiling it.
 *
 * @throws KernelError KERNEL_INTERFACE if the two differ, KERNEL_FEATURE if the device lacks a feature, KERNEL_COMPILE if the
 *   text can't be read
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

/** The exact text that the compiler gets: the kernel's own, then its helpers. @throws KernelError KERNEL_COMPILE if it can't be read */
export async function kernelText(gpu: Gpu, { name, code, helpers = [] }: KernelDeclaration): Promise<string> {
  const own = typeof code === 'string' ? code : gpu.readText(code);
  try {
    return (await Promise.all([own, ...helpers.map((url) => gpu.readText(url))])).join('\n');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new KernelError('KERNEL_COMPILE', `${name}: the WGSL text can't be read (${reason})`, {
      kernel: name,
      cause,
      hint: 'check the URL in `code`, and that .wgsl files are copied beside the compiled sources',
    });
  }
}

/** Compares the declaration with the text: names, order, access and element types; every declared param is a field of Params. */
function checkInterface({ name, bindings, ...declaration }: KernelDeclaration, wgsl: WgslInterface): void {
  const fail = (problem: string, binding?: string): never => {
    throw new KernelError('KERNEL_INTERFACE', `${name}: ${problem}`, {
      kernel: name,
      binding,
      hint: 'make the declaration and the WGSL text agree',
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
      const isVector = found.type === `vec4${dtype[0]}` || found.type === `vec2${dtype[0]}`; // also right: several values at a time
      if (found.name !== binding)
        fail(`@binding(${index}) is ${found.name}, but declared as ${binding}`, binding);
      if (found.access !== wantedAccess)
        fail(`${binding} is ${found.access}, but declared as ${wantedAccess}`, binding);
      if (found.type !== wantedType && !isVector)
        fail(`${binding} holds ${found.type}, but is declared as ${wantedType}`, binding);
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
      hint: 'use another adapter, or a kernel that does not need it',
    },
  );
}
