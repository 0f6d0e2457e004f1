/** Checks the arguments of a kernel call against its declaration. */
import { KernelError, ShapeError } from '../errors.ts';
import type { Binding, Bindings, KernelDeclaration, ParamTypes } from './declaration.ts';
import { type Symbols, solveShapes } from './shapes.ts';
import { elementCount, type HostArray, type Tensor } from './tensor.ts';

/** An input of `run`: a tensor, an array with its shape, or a flat array, whose shape is then solved from the declaration. */
export type HostInput = Tensor | HostArray | { readonly data: HostArray; readonly shape: readonly number[] };

/**
 * The sizes of a call, from its tensors and params.
 *
 * @throws ShapeError SHAPE_UNSOLVED if a param or an input is missing; SHAPE_MISMATCH if a binding does not exist or shapes clash
 */
export function solveSizes(
  { name, bindings, params: declared = {} }: KernelDeclaration<Bindings, ParamTypes>,
  inputs: Readonly<Record<string, HostInput>>,
  params: Symbols,
): Symbols {
  for (const param of Object.keys(declared)) {
    if (!Number.isFinite(params[param])) {
      throw new ShapeError('SHAPE_UNSOLVED', `${name}: the param ${param} is ${params[param]}`, {
        kernel: name,
        field: param,
        hint: 'give every declared param a number',
      });
    }
  }
  const shapes = Object.fromEntries(Object.entries(bindings).map(([binding, { shape }]) => [binding, shape]));
  const actual = Object.fromEntries(
    Object.entries(inputs).map(([binding, input]) => {
      if (!(binding in bindings)) {
        throw new ShapeError('SHAPE_MISMATCH', `${name}: there is no binding ${binding}`, {
          kernel: name,
          binding,
          hint: `its bindings are ${Object.keys(bindings).join(', ')}`,
        });
      }
      if ('shape' in input) return [binding, { shape: input.shape, elements: elementCount(input.shape) }];
      return [binding, { shape: null, elements: input.length }];
    }),
  );
  for (const [binding, { access }] of Object.entries(bindings)) {
    if (access !== 'write' && !(binding in actual)) {
      throw new ShapeError('SHAPE_UNSOLVED', `${name}: the input ${binding} is missing`, {
        kernel: name,
        binding,
        hint: `give ${binding}`,
      });
    }
  }
  return solveShapes(name, shapes, actual, params);
}

/** @throws ShapeError SHAPE_MISMATCH if the tensor's dtype or layout differs from the binding's */
export function checkDtype(
  kernel: string,
  binding: string,
  { dtype, layout = 'rows' }: Binding,
  tensor: Tensor,
): void {
  if (dtype === 'weights' && layout !== tensor.layout) {
    throw new ShapeError('SHAPE_MISMATCH', `${kernel}: ${binding} is stored in ${tensor.layout}`, {
      kernel,
      binding,
      expected: layout,
      actual: tensor.layout,
      hint: 'upload the weights in the declared layout',
    });
  }
  const fits = dtype === 'weights' ? ['f32', 'bf16', 'f16'].includes(tensor.dtype) : dtype === tensor.dtype;
  if (fits) return;
  throw new ShapeError('SHAPE_MISMATCH', `${kernel}: ${binding} should be ${dtype}, is ${tensor.dtype}`, {
    kernel,
    binding,
    expected: dtype,
    actual: tensor.dtype,
    hint: 'convert it on the host',
  });
}

/** @throws KernelError KERNEL_BINDING if a buffer is written and also bound elsewhere, which WebGPU forbids */
export function checkAliasing({ name, bindings }: KernelDeclaration, buffers: readonly GPUBuffer[]): void {
  for (const [index, [binding, { access }]] of Object.entries(bindings).entries()) {
    if (access !== 'write' && access !== 'readWrite') continue;
    const twin = buffers.findIndex((buffer, other) => other !== index && buffer === buffers[index]);
    if (twin >= 0) {
      const other = Object.keys(bindings)[twin];
      throw bindingError(
        name,
        binding,
        `${binding} is written and shares its buffer with ${other}`,
        'declare one readWrite binding instead, or pass different tensors',
      );
    }
  }
}

/** The error KERNEL_BINDING. */
export function bindingError(kernel: string, binding: string, problem: string, hint: string): KernelError {
  return new KernelError('KERNEL_BINDING', `${kernel}: ${problem}`, { kernel, binding, hint });
}
