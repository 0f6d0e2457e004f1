/** Checks of the options that choose a model's kernels, and of the kernels that a user hands over. */
import { InputError, KernelError } from '../../errors.ts';
import type { Binding, KernelDeclaration } from '../../gpu/declaration.ts';
import type { Gpu } from '../../gpu/device.ts';
import type { Kernel } from '../../gpu/kernel.ts';
import { readKernel } from '../../gpu/readKernel.ts';
import { kernels as standardKernels } from '../../kernels/kernelSet.ts';
import type { KernelOptions } from './forms.ts';

/** @throws InputError INPUT_RANGE, INPUT_TYPE: an option, by its field */
export function checkKernelOptions({
  kernelSet = 'fast',
  precision = 'exact',
  kernels = {},
}: Omit<KernelOptions, 'tuning'>): void {
  checkOneOf('kernelSet', kernelSet, ['fast', 'plain']);
  checkOneOf('precision', precision, ['exact', 'fast']);
  for (const [name, kernel] of Object.entries(kernels)) {
    const field = `kernels.${name}`;
    // A misspelt name would leave the standard kernel in place, and its user believing in the own one.
    if (!Object.hasOwn(standardKernels, name)) {
      const hint = 'take a name that `m2 kernel list` shows';
      throw new InputError('INPUT_RANGE', `there is no kernel ${name} to replace`, { field, hint });
    }
    if (typeof kernel !== 'function' || !('declaration' in kernel)) {
      const hint = `give what kernels.${name}.variant(…) or defineKernel(…) returns`;
      throw new InputError('INPUT_TYPE', `${field} is no kernel`, { field, hint });
    }
  }
}

/**
 * Holds each kernel of the user's against the contract of the one that it replaces, and its text against its declaration: so
 * that a mistake is found before the weights are loaded.
 *
 * @throws KernelError KERNEL_INTERFACE: bindings or params differ, KERNEL_COMPILE: its text can't be read, KERNEL_FEATURE: the
 *   adapter lacks what the text enables
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
    throw new KernelError('KERNEL_INTERFACE', `${own.name} in the place of ${name}: ${problem}`, {
      kernel: own.name,
      ...details,
      hint: `keep the bindings and params of kernels.${name}: kernels.${name}.variant(…) does, \`m2 kernel show ${name}\` lists them`,
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

/** All of a binding but the names of its sizes, e.g. `weights with 2 axes in panels`. */
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
