/** A kernel's declaration: bindings with symbolic shapes, params, constants, a CPU reference, and the cases that check it. */
import type { Dim, Symbols } from './shapes.ts';
import type { HostArray, Layout } from './tensor.ts';

type Access = 'read' | 'write' | 'readWrite' | 'weights';

export interface Binding<A extends Access = Access> {
  readonly access: A;
  /** `weights` may be stored as f32, bf16 or f16; the kernel sees words (`array<u32>`). */
  readonly dtype: 'f32' | 'u32' | 'i32' | 'weights';
  readonly shape: readonly Dim[];
  /** Layout of weights; default 'rows'. */
  readonly layout?: Layout;
}

/** An input. */
export const read = (dtype: 'f32' | 'u32' | 'i32', shape: readonly Dim[]): Binding<'read'> => ({
  access: 'read',
  dtype,
  shape,
});
/** An output that the kernel writes completely. The call allocates it unless it is given. */
export const write = (dtype: 'f32' | 'u32' | 'i32', shape: readonly Dim[]): Binding<'write'> => ({
  access: 'write',
  dtype,
  shape,
});
/** A tensor that the kernel changes in place. (WebGPU forbids binding one buffer twice if one of the two bindings writes.) */
export const readWrite = (dtype: 'f32' | 'u32' | 'i32', shape: readonly Dim[]): Binding<'readWrite'> => ({
  access: 'readWrite',
  dtype,
  shape,
});
/** Weights as stored (f32, bf16 or f16); the kernel sees `array<u32>`. It is dispatched once for each of their pieces. */
export const weights = (shape: readonly Dim[]): Binding<'weights'> => ({
  access: 'weights',
  dtype: 'weights',
  shape,
});

/** Weights with rows interleaved in panels of eight (panels.ts); the kernel sees `array<vec4u>`. */
export const panels = (shape: readonly Dim[]): Binding<'weights'> => ({
  access: 'weights',
  dtype: 'weights',
  shape,
  layout: 'panels',
});

export type Bindings = Readonly<Record<string, Binding>>;
/** The arrays of one call by binding, flat and row-major, for the CPU reference; weights are unpacked. */
export type ReferenceArrays = Readonly<Record<string, Float64Array>>;
export type ParamTypes = Readonly<Record<string, 'f32' | 'u32' | 'i32'>>;
export type Constants = Readonly<Record<string, number>>;

/** One call that `checkKernel` makes. */
export interface KernelCase {
  readonly name: string;
  /** The values of shape names and params. */
  readonly sizes: Symbols;
  /** Storage format of the weights; without it the case runs with each of f32, bf16 and f16. */
  readonly weightDtype?: 'f32' | 'bf16' | 'f16';
  /** Inputs are drawn from [-scale, scale); default 1. */
  readonly scale?: number;
  /** Inputs that can't be random, e.g. token ids and segment bounds. */
  readonly inputs?: (sizes: Symbols) => Readonly<Record<string, HostArray>>;
}

/** Largest accepted error of a value: `abs + rel · max|expected|`. */
export interface Tolerance {
  readonly abs: number;
  readonly rel: number;
  /** Why these two numbers. */
  readonly reason: string;
}

export interface KernelDeclaration<B extends Bindings = Bindings, P extends ParamTypes = ParamTypes> {
  readonly name: string;
  /** The `.wgsl` file beside the host file, or the text itself. */
  readonly code: URL | string;
  /** Shared `.wgsl` files. They are appended to the kernel's own text, so that the compiler's line numbers match its file. */
  readonly helpers?: readonly URL[];
  /** In the order of `@binding(0…)`. The uniform `params` comes after them. */
  readonly bindings: B;
  readonly params?: P;
  /** Values of `override`s. The host sets `<BINDING>_DTYPE` from the tensor. */
  readonly constants?: Constants;
  /** The text has an `override SUBGROUP_SIZE`, which the host sets from the adapter. */
  readonly usesSubgroups?: boolean;
  /** Workgroups in x, y and z. `constants` also has each `const NAME = 4u;` of the text. */
  readonly dispatch: (sizes: Symbols, constants: Constants) => readonly number[];
  /** The CPU reference, in float64. Returns every binding that the kernel writes. */
  readonly reference: (arrays: ReferenceArrays, sizes: Symbols) => Readonly<Record<string, Float64Array>>;
  readonly cases: readonly KernelCase[];
  readonly tolerance: Tolerance;
  /** Floating-point operations of one call (a multiply-add is two), for `benchKernel`. `inputs` by binding, as stored. */
  readonly flops?: (sizes: Symbols, inputs: Readonly<Record<string, ArrayLike<number>>>) => number;
  /** The share, 0 to 1, of each binding that a call touches only in part (e.g. the rows looked up in a table), for `benchKernel`. */
  readonly touches?: (
    sizes: Symbols,
    inputs: Readonly<Record<string, ArrayLike<number>>>,
  ) => Readonly<Record<string, number>>;
}

/** The name of the binding that a call returns: the first `write`, else the first `readWrite`. */
export function outputBinding(bindings: Bindings): string {
  const names = Object.keys(bindings);
  const written = names.find((name) => bindings[name].access === 'write');
  return written ?? names.find((name) => bindings[name].access === 'readWrite') ?? names[0];
}
