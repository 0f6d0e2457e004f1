/** What a kernel says of itself: bindings with symbolic shapes, params, constants, its CPU definition, and the cases that check it. */
import type { Dim, Symbols } from './shapes.ts';
import type { HostArray, Layout } from './tensor.ts';

type Access = 'read' | 'write' | 'readWrite' | 'weights';

export interface Binding<A extends Access = Access> {
  readonly access: A;
  /** `weights` may be stored as f32, bf16 or f16; the kernel sees words (`array<u32>`). */
  readonly dtype: 'f32' | 'u32' | 'i32' | 'weights';
  readonly shape: readonly Dim[];
  /** How weights lie; default: in rows. */
  readonly layout?: Layout;
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

/** Weights whose rows are interleaved in panels of eight: the kernel sees `array<vec4u>`; see panels.ts. */
export const panels = (shape: readonly Dim[]): Binding<'weights'> => ({
  access: 'weights',
  dtype: 'weights',
  shape,
  layout: 'panels',
});

export type Bindings = Readonly<Record<string, Binding>>;
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
  /** The text has an `override SUBGROUP_SIZE`, which the host sets from the adapter. */
  readonly usesSubgroups?: boolean;
  /** Workgroups to start; `constants` also holds the text's own `const NAME = 4u;`. */
  readonly dispatch: (sizes: Symbols, constants: Constants) => readonly number[];
  /** The definition on the CPU, in float64: returns every binding that the kernel writes. */
  readonly reference: (arrays: ReferenceArrays, sizes: Symbols) => Readonly<Record<string, Float64Array>>;
  readonly cases: readonly KernelCase[];
  readonly tolerance: Tolerance;
  /** Floating-point operations of one call, a product and a sum as two, for `benchKernel`; `inputs` by binding, as stored. */
  readonly flops?: (sizes: Symbols, inputs: Readonly<Record<string, ArrayLike<number>>>) => number;
  /** Shares of the bindings that a call touches only a part of, e.g. a table's looked-up rows: so that bytes are not overstated. */
  readonly touches?: (
    sizes: Symbols,
    inputs: Readonly<Record<string, ArrayLike<number>>>,
  ) => Readonly<Record<string, number>>;
}

/** The name of the binding that a call returns. */
export function outputBinding(bindings: Bindings): string {
  const names = Object.keys(bindings);
  const written = names.find((name) => bindings[name].access === 'write');
  return written ?? names.find((name) => bindings[name].access === 'readWrite') ?? names[0];
}
