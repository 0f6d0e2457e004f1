import {
  type Binding,
  type Bindings,
  type KernelCase,
  type KernelDeclaration,
  type ParamTypes,
  readWrite,
  type Tolerance,
  write,
} from '../../../gpu/declaration.ts';
import { defineKernel, type Kernel } from '../../../gpu/kernel.ts';
import type { Dim, Symbols } from '../../../gpu/shapes.ts';
import { matmulReference } from '../../plain/reference/matmul.ts';
import { linearAddReference, linearGateReference, linearGeluReference } from './reference/panelLinear.ts';

/** What becomes of the sums of a linear layer; `constants` set the overrides of shared/storePanel.wgsl. */
const ENDINGS = {
  store: { suffix: '', constants: {}, access: write, columns: 'outDim', definition: matmulReference },
  add: {
    suffix: 'Add',
    constants: { ADD: 1 },
    access: readWrite,
    columns: 'outDim',
    definition: linearAddReference,
  },
  gate: {
    suffix: 'Gate',
    constants: { GATE: 1 },
    access: write,
    columns: ({ outDim }: Symbols) => outDim / 2,
    definition: linearGateReference,
  },
  gelu: {
    suffix: 'Gelu',
    constants: { GELU: 1 },
    access: write,
    columns: 'outDim',
    definition: linearGeluReference,
  },
} as const;

export type Ending = keyof typeof ENDINGS;

/** The kernels of one text. */
export interface LinearFamily<I extends Bindings, P extends ParamTypes> {
  /** x · weightᵀ + bias → [rows, outDim]. */
  readonly store: Kernel<I & { readonly out: Binding<'write'> }, P>;
  /** The same, added to `out` [rows, outDim] f32 in place: the linear layer and `add` in one. */
  readonly add: Kernel<I & { readonly out: Binding<'readWrite'> }, P>;
  /** The same with columns that are gate and up in turn → [rows, outDim / 2]: the linear layer and `siluGate` in one. */
  readonly gate: Kernel<I & { readonly out: Binding<'write'> }, P>;
  /** The same, then the exact GELU: the linear layer and `gelu` in one. */
  readonly gelu: Kernel<I & { readonly out: Binding<'write'> }, P>;
}

/** What the kernels of a family share: a declaration without the output. */
export interface LinearContract<
  I extends Bindings = Bindings,
  P extends ParamTypes = ParamTypes,
  E extends Ending = Ending,
> extends Omit<KernelDeclaration<I, P>, 'bindings' | 'reference'> {
  readonly endings: readonly E[];
  readonly inputs: I;
  /** First axis of out. */
  readonly rows: Dim;
  /** A gated value is a product of two sums. */
  readonly gateTolerance: Tolerance;
  /** Gives a definition on x [rows, inDim] and weight [outDim, inDim] the inputs of the family. */
  readonly reference: (definition: typeof linearAddReference) => KernelDeclaration['reference'];
}

/**
 * Makes the kernels of a text that has shared/storePanel.wgsl among its helpers: `name`, `<name>Add`, `<name>Gate`, `<name>Gelu`, as far
 * as `endings` lists them.
 */
export function linearFamily<const I extends Bindings, const P extends ParamTypes, const E extends Ending>(
  contract: LinearContract<I, P, E>,
): Pick<LinearFamily<I, P>, E> {
  const { endings, inputs, rows, gateTolerance, reference, ...shared } = contract;
  const kernelOf = (ending: Ending) => {
    const { suffix, constants, access, columns, definition } = ENDINGS[ending];
    return defineKernel({
      ...shared,
      name: shared.name + suffix,
      bindings: { ...inputs, out: access('f32', [rows, columns]) },
      constants: { ...shared.constants, ...constants },
      reference: reference(definition),
      cases: ending === 'store' ? shared.cases : endingCases(shared.cases),
      tolerance: ending === 'gate' ? gateTolerance : shared.tolerance,
    });
  };
  const family = Object.fromEntries(endings.map((ending) => [ending, kernelOf(ending)]));
  return family as unknown as Pick<LinearFamily<I, P>, E>;
}

/** What comes after the sums comes after the same loop: for it one dtype and short sums are enough, and compiling is slow. */
function endingCases(cases: readonly KernelCase[]): KernelCase[] {
  return inBf16(cases.filter(({ sizes }) => (sizes.inDim ?? 4 * sizes.words) < 1000));
}

/** For texts that read weights with the helpers of another one, whose cases have all dtypes. */
export function inBf16(cases: readonly KernelCase[]): KernelCase[] {
  return cases.map((one) => ({ ...one, weightDtype: 'bf16' }));
}
