/** Checks the options that choose a model's kernels, and the user's own kernels. */
import { InputError, KernelError } from '../../errors.ts';
import type { Binding, KernelDeclaration } from '../../gpu/declaration.ts';
import type { Gpu } from '../../gpu/device.ts';
import type { Kernel } from '../../gpu/kernel.ts';
import { readKernel } from '../../gpu/readKernel.ts';
import { kernels as standardKernels } from '../../kernels/kernelSet.ts';
import type { KernelOptions } from './forms.ts';

/** @throws InputError INPUT_RANGE, INPUT_TYPE with the option's name in `details.field` */
export function checkKernelOptions({
  kernelSet = 'fast',
  precision = 'exact',
  kernels = {},
}: Omit<KernelOptions, 'tuning'>): void {
  checkOneOf('kernelSet', kernelSet, ['fast', 'plain']);
  checkOneOf('precision', precision, ['exact', 'fast']);
  for (const [name, kernel] of Object.entries(kernels)) {
    const field = `kernels.${name}`;
    // With a misspelt name the standard kernel would silently stay in use.
    if (!Object.hasOwn(standardKernels, name)) {
      const hint = 'give a name that `m2 kernel list` shows';
      throw new InputError('INPUT_RANGE', `there is no kernel ${name} to replace`, { field, hint });
    }
    if (typeof kernel !== 'function' || !('declaration' in kernel)) {
      const hint = `give the result of kernels.${name}.variant(…) or defineKernel(…)`;
      throw new InputError('INPUT_TYPE', `${field} is not a kernel`, { field, hint });
    }
  }
}

/**
 * Checks each of the user's kernels against the contract of the kernel that it replaces, and its text against its declaration,
 * so that mistakes are found before the weights are loaded.
 *
 * @throws KernelError KERNEL_INTERFACE if bindings or params differ, KERNEL_COMPILE if the text can't be read, KERNEL_FEATURE if
 *   the adapter lacks a feature that the text enables
 */
export async function checkOwnKernels(
  gpu: Gpu,
  { kernels = {} }: Pick<KernelOptions, 'kernels'>,
): Promise<void> {
  for (const [name, kernel] of Object.entries(kernels)) {
    const { declaration } = kernel as unknown as Kernel;
    checkContract(name, declaration, (standardKernels[name as 'add'] as unknown as Kernel).declaration);
    await readKernel(gpu, declaration);
  }
}

function checkContract(name: string, own: KernelDeclaration, standard: KernelDeclaration): void {
  const fail = (problem: string, details: { binding?: string; field?: string }): never => {
    throw new KernelError('KERNEL_INTERFACE', `${own.name} can't replace ${name}: ${problem}`, {
      kernel: own.name,
      ...details,
      hint: `keep the bindings and params of kernels.${name}, as kernels.${name}.variant(…) does; \`m2 kernel show ${name}\` lists them`,
    });
  };
  for (const binding of Object.keys({ ...standard.bindings, ...own.bindings })) {
    const [mine, theirs] = [own.bindings[binding], standard.bindings[binding]];
    if (mine === undefined) fail(`it has no binding ${binding}`, { binding });
    else if (theirs === undefined) fail(`the model gives it no ${binding}`, { binding });
    else if (describe(mine) !== describe(theirs)) {
      fail(`its binding ${binding} is ${describe(mine)}, the model gives ${describe(theirs)}`, { binding });
    }
  }
  const param = Object.keys(own.params ?? {}).find((field) => !Object.hasOwn(standard.params ?? {}, field));
  if (param !== undefined) fail(`the model gives it no param ${param}`, { field: param });
}

/** A binding without the names of its sizes, e.g. `weights in panels with 2 axes`. */
function describe({ access, dtype, shape, layout = 'rows' }: Binding): string {
  const stored = dtype === 'weights' ? `weights in ${layout}` : `${access} of ${dtype}`;
  return `${stored} with ${shape.length} ${shape.length === 1 ? 'axis' : 'axes'}`;
}

function checkOneOf(field: string, value: unknown, allowed: readonly string[]): void {
  if (allowed.includes(value as string)) return;
  throw new InputError('INPUT_RANGE', `${field} is ${JSON.stringify(value)}`, {
    field,
    hint: `give one of: ${allowed.join(', ')}`,
  });
}
