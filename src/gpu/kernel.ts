import { type Bindings, type KernelDeclaration, outputBinding, type ParamTypes } from './declaration.ts';
import type { Gpu } from './device.ts';
import { checkDtype, type HostInput, solveSizes } from './kernelArguments.ts';
import { Pass } from './pass.ts';
import { evaluate, type Symbols } from './shapes.ts';
import { freeTensors, readTensor, type Tensor, upload } from './tensor.ts';

type InputName<B extends Bindings> = {
  [K in keyof B]: B[K]['access'] extends 'write' ? never : K;
}[keyof B];
export type TensorArguments<B extends Bindings> = { readonly [K in InputName<B>]: Tensor } & {
  readonly [K in keyof B]?: Tensor;
};
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
