import { KernelError, ShapeError } from '../errors.ts';
import type { Gpu } from './device.ts';
import { Pass } from './pass.ts';
import { type Dim, evaluate, type Symbols, solveShapes } from './shapes.ts';
import { elementCount, freeTensors, type HostArray, readTensor, type Tensor, upload } from './tensor.ts';

type Access = 'read' | 'write' | 'readWrite' | 'weights';

export interface Binding<A extends Access = Access> {
  readonly access: A;
  /** `weights` may be stored as f32, bf16 or f16; the kernel sees words (`array<u32>`). */
  readonly dtype: 'f32' | 'u32' | 'i32' | 'weights';
  readonly shape: readonly Dim[];
}

/** An input. */
export const read = (dtype: 'f32' | 'u32' | 'i32', shape: readonly Dim[]): Binding<'read'> => ({
  access: 'read',
  dtype,
  shape,
});
/** An output that the kernel writes completely; made by the call unless it is given. */
export const write = (dtype: 'f32' | 'u32' | 'i32', shape: readonly Dim[]): Binding<'write'> => ({
  access: 'write',
  dtype,
  shape,
});
/** A tensor that the kernel changes in place: one buffer may not be bound twice when one of the two is written. */
export const readWrite = (dtype: 'f32' | 'u32' | 'i32', shape: readonly Dim[]): Binding<'readWrite'> => ({
  access: 'readWrite',
  dtype,
  shape,
});
/** Weights as stored (f32, bf16, f16), perhaps in pieces: the kernel is then dispatched once for each piece. */
export const weights = (shape: readonly Dim[]): Binding<'weights'> => ({
  access: 'weights',
  dtype: 'weights',
  shape,
});

export type Bindings = Readonly<Record<string, Binding>>;
type InputName<B extends Bindings> = {
  [K in keyof B]: B[K]['access'] extends 'write' ? never : K;
}[keyof B];
export type TensorArguments<B extends Bindings> = { readonly [K in InputName<B>]: Tensor } & {
  readonly [K in keyof B]?: Tensor;
};
/** For `run`: tensors, flat arrays (missing sizes are solved), or arrays with their shape. */
export type HostInput = Tensor | HostArray | { readonly data: HostArray; readonly shape: readonly number[] };
export type RunArguments<B extends Bindings> = { readonly [K in InputName<B>]: HostInput };

/** The arrays of one call, by binding, for the CPU definition; weights are unpacked to numbers. */
export type ReferenceArrays = Readonly<Record<string, Float64Array>>;
export type ParamTypes = Readonly<Record<string, 'f32' | 'u32' | 'i32'>>;
export type Constants = Readonly<Record<string, number>>;

/** A call that `checkKernel` makes: sizes are solved names and params together. */
export interface KernelCase {
  readonly name: string;
  readonly sizes: Symbols;
  /** How weights are stored in this case; without it the case runs with each of f32, bf16 and f16. */
  readonly weightDtype?: 'f32' | 'bf16' | 'f16';
  /** Inputs are drawn from [-scale, scale); default 1. */
  readonly scale?: number;
  /** Inputs that can't be drawn, e.g. token ids and segment bounds. */
  readonly inputs?: (sizes: Symbols) => Readonly<Record<string, HostArray>>;
}

/** Largest accepted error of one value: `abs + rel · max|expected|`. */
export interface Tolerance {
  readonly abs: number;
  readonly rel: number;
  /** Where the two numbers come from. */
  readonly reason: string;
}

export interface KernelDeclaration<B extends Bindings = Bindings, P extends ParamTypes = ParamTypes> {
  readonly name: string;
  /** The `.wgsl` file beside the host file, or the text itself. */
  readonly code: URL | string;
  /** Shared `.wgsl` files, appended after the kernel's own text so that the compiler's line numbers stay the file's. */
  readonly helpers?: readonly URL[];
  /** In the order of `@binding(0…)`; the uniform `params` comes last. */
  readonly bindings: B;
  readonly params?: P;
  /** Values of `override`s. `<BINDING>_DTYPE` is set by the host from the tensor. */
  readonly constants?: Constants;
  /** Workgroups to start; `constants` also holds the text's own `const NAME = 4u;`. */
  readonly dispatch: (sizes: Symbols, constants: Constants) => readonly number[];
  /** The definition on the CPU, in float64: returns every binding that the kernel writes. */
  readonly reference: (arrays: ReferenceArrays, sizes: Symbols) => Readonly<Record<string, Float64Array>>;
  readonly cases: readonly KernelCase[];
  readonly tolerance: Tolerance;
}

export type Changes = Partial<
  Pick<KernelDeclaration, 'name' | 'code' | 'helpers' | 'constants' | 'dispatch'>
>;

/** A kernel is called inside a pass, like a function of tensors; `run` calls it alone. */
export interface Kernel<B extends Bindings = Bindings, P extends ParamTypes = ParamTypes> {
  /** Records one call and returns its output: the `write` binding, or the tensor that was changed in place. */
  (pass: Pass, tensors: TensorArguments<B>, params?: { readonly [K in keyof P]: number }): Tensor;
  readonly declaration: KernelDeclaration<B, P>;
  /** The same contract (bindings, reference, cases, tolerance) with another text, constants or dispatch. */
  variant(changes: Changes): Kernel<B, P>;
  /** Uploads, runs once, and reads the output back: enough for the first hour with a new kernel. */
  run(
    gpu: Gpu,
    inputs: RunArguments<B>,
    params?: { readonly [K in keyof P]: number },
  ): Promise<Float32Array | Uint32Array | Int32Array>;
}

/**
 * Makes a kernel from its declaration. Nothing is read or compiled before its first use.
 *
 * @throws (later, from the call) ShapeError when tensors don't fit the declared shapes; (from `pass.submit`) KernelError
 *   KERNEL_INTERFACE when the text is not what is declared, KERNEL_COMPILE when it does not compile
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
      const shape = evaluate(declaration.name, binding, declaration.bindings[binding].shape, sizes);
      tensors[binding] = upload(gpu, 'data' in input ? input.data : input, shape, binding);
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

/** For kernels whose text has room for a fixed size. @throws KernelError KERNEL_LIMIT */
export function assertSizeAtMost(kernel: string, field: string, size: number, limit: number): void {
  if (size <= limit) return;
  throw new KernelError('KERNEL_LIMIT', `${kernel}: ${field} is ${size}, the kernel has room for ${limit}`, {
    kernel,
    field,
    expected: limit,
    actual: size,
    hint: 'raise the constant in its .wgsl file',
  });
}

/** The name of the binding that a call returns. */
export function outputBinding(bindings: Bindings): string {
  const names = Object.keys(bindings);
  const written = names.find((name) => bindings[name].access === 'write');
  return written ?? names.find((name) => bindings[name].access === 'readWrite') ?? names[0];
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

function checkDtype(kernel: string, binding: string, { dtype }: Binding, tensor: Tensor): void {
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
