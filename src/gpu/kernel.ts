import { ShapeError } from '../errors.ts';
import {
  type Binding,
  type Bindings,
  type KernelDeclaration,
  outputBinding,
  type ParamTypes,
} from './declaration.ts';
import type { Gpu } from './device.ts';
import { Pass } from './pass.ts';
import { evaluate, type Symbols, solveShapes } from './shapes.ts';
import { elementCount, freeTensors, type HostArray, readTensor, type Tensor, upload } from './tensor.ts';

type InputName<B extends Bindings> = {
  [K in keyof B]: B[K]['access'] extends 'write' ? never : K;
}[keyof B];
export type TensorArguments<B extends Bindings> = { readonly [K in InputName<B>]: Tensor } & {
  readonly [K in keyof B]?: Tensor;
};
/** An input of `run`: a tensor, an array with its shape, or a flat array, whose shape is then solved from the declaration. */
export type HostInput = Tensor | HostArray | { readonly data: HostArray; readonly shape: readonly number[] };
export type RunArguments<B extends Bindings> = { readonly [K in InputName<B>]: HostInput };

export type Changes = Partial<
  Pick<KernelDeclaration, 'name' | 'code' | 'helpers' | 'constants' | 'dispatch'>
>;

/** A kernel is called in a pass like a function of tensors; `run` calls it on its own. */
export interface Kernel<B extends Bindings = Bindings, P extends ParamTypes = ParamTypes> {
  /**
   * Records one call. @returns the first `write` binding, else the tensor changed in place
   *
   * @throws ShapeError SHAPE_MISMATCH, SHAPE_UNSOLVED; KernelError KERNEL_BINDING
   */
  (pass: Pass, tensors: TensorArguments<B>, params?: { readonly [K in keyof P]: number }): Tensor;
  readonly declaration: KernelDeclaration<B, P>;
  /** The same contract (bindings, reference, cases, tolerance) with other WGSL text, constants or dispatch. */
  variant(changes: Changes): Kernel<B, P>;
  /**
   * Uploads the inputs, runs once and reads the output back, flat: enough for the first hour with a new kernel.
   *
   * @throws ShapeError, KernelError, GpuError as a call and `Pass.submit`
   */
  run(
    gpu: Gpu,
    inputs: RunArguments<B>,
    params?: { readonly [K in keyof P]: number },
  ): Promise<Float32Array | Uint32Array | Int32Array>;
}

/**
 * Makes a kernel from its declaration. Its text is read and compiled at its first use, so errors come later:
 * from the call, ShapeError if tensors don't fit the declared shapes; from `pass.submit`, KernelError KERNEL_INTERFACE if text
 * and declaration differ, KERNEL_FEATURE if the device lacks a feature that the text enables, KERNEL_COMPILE if it does not compile.
 */
export function defineKernel<const B extends Bindings, const P extends ParamTypes>(
  declaration: KernelDeclaration<B, P>,
): Kernel<B, P> {
  const call = (pass: Pass, tensors: Readonly<Record<string, Tensor>>, params: Symbols = {}): Tensor => {
    const { bindings } = declaration;
    const sizes = solveSizes(declaration, tensors, params);
    const bound: Record<string, Tensor> = {};
    for (const [binding, { access, dtype, shape }] of Object.entries(bindings)) {
      bound[binding] =
        tensors[binding] ??
        pass.allocate(
          dtype as 'f32',
          evaluate(declaration.name, binding, shape, sizes),
          `${declaration.name}.${binding}`,
        );
      if (access !== 'write') checkDtype(declaration.name, binding, bindings[binding], bound[binding]);
    }
    pass.dispatch(declaration as unknown as KernelDeclaration, bound, sizes);
    return bound[outputBinding(bindings)];
  };

  const run = async (gpu: Gpu, inputs: Readonly<Record<string, HostInput>>, params: Symbols = {}) => {
    const sizes = solveSizes(declaration, inputs, params);
    const uploaded: Tensor[] = [];
    const tensors: Record<string, Tensor> = {};
    for (const [binding, input] of Object.entries(inputs)) {
      if ('pieces' in input) {
        tensors[binding] = input;
        continue;
      }
      const { shape: dims, layout } = declaration.bindings[binding];
      const shape = evaluate(declaration.name, binding, dims, sizes);
      const data = 'data' in input ? input.data : input;
      tensors[binding] = upload(gpu, data, shape, binding, undefined, layout);
      uploaded.push(tensors[binding]);
    }
    const pass = new Pass(gpu, declaration.name);
    try {
      const output = call(pass, tensors, params);
      await pass.submit();
      return await readTensor(gpu, output);
    } finally {
      await pass.destroy();
      await freeTensors(gpu, uploaded);
    }
  };

  const variant = (changes: Changes) =>
    defineKernel<B, P>({
      ...declaration,
      ...changes,
      constants: { ...declaration.constants, ...changes.constants },
    });
  const kernel = Object.assign(call, { declaration, run, variant }) as unknown as Kernel<B, P>;
  return Object.defineProperty(kernel, 'name', { value: declaration.name });
}

function solveSizes(
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

function checkDtype(
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
