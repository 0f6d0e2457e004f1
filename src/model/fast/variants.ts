/** Kernels that may stand for each other: what an adapter runs by default, and what a tuning may choose instead. */
import type { Constants } from '../../gpu/declaration.ts';
import type { Gpu } from '../../gpu/device.ts';
import type { Kernel } from '../../gpu/kernel.ts';
import type { Tensor } from '../../gpu/tensor.ts';
import { fastKernels } from '../../kernels/fast/fastKernels.ts';
import type { KernelSet } from '../../kernels/kernelSet.ts';
import { FEW_ROWS } from '../graph/linear.ts';

/** A standard kernel with other constants, e.g. `{ kernel: 'gemvPanels', constants: { WORKGROUP_SIZE: 32 } }`. */
export interface Variant {
  readonly kernel: keyof KernelSet;
  readonly constants: Constants;
}

/** The kernels that are tuned, and the endings of those that share their loop: these get the same choice. */
const TUNED_ENDINGS = {
  gemvPanels: ['', 'Add', 'Gate'],
  matmulPanels: ['', 'Add', 'Gate', 'Gelu'],
  attendToken: ['', 'Splits'],
  attentionScores: [''],
  attentionValues: [''],
} as const;

export type TunedKernel = keyof typeof TUNED_ENDINGS;

/** For each kernel and shape class the variant to run; a call of any other class runs the default. Plain data, fit for JSON. */
export type Tuning = { readonly [K in TunedKernel]?: Readonly<Record<string, Variant>> };

export const TUNED_KERNELS = Object.keys(TUNED_ENDINGS) as readonly TunedKernel[];

/** @param weight of a linear layer, [outDim, inDim]; attention has none */
export function shapeClass(rows: number, weight?: Pick<Tensor, 'dtype' | 'shape'>): string {
  const rowsClass = rows === 1 ? 'one row' : rows <= FEW_ROWS ? 'up to 8 rows' : 'more than 8 rows';
  if (weight === undefined) return rowsClass;
  let columns = 64;
  while (columns < weight.shape[0]) columns *= 8;
  return `${rowsClass}, up to ${columns} columns, ${weight.dtype}`;
}

/** A variant with each ending that its kernel is tuned for. */
export function variantForms(
  tuned: TunedKernel,
  { kernel, constants }: Variant,
): { name: string; form: Kernel }[] {
  const standard = fastKernels as unknown as Readonly<Partial<Record<string, Kernel>>>;
  return TUNED_ENDINGS[tuned].flatMap((ending) => {
    const form = standard[kernel + ending]?.variant({ constants });
    return form ? [{ name: tuned + ending, form }] : [];
  });
}

/**
 * What an adapter runs untuned in the place of a kernel. A GPU reads memory in wide strips: neighbouring threads share them, by
 * way of subgroups or workgroup memory. A software adapter reads for each thread alone.
 */
export function adapterVariant({ device, info, isSoftware }: Gpu, kernel: string, rows: number): Variant {
  const subgroups = device.features.has('subgroups');
  const oneSubgroupSize = subgroups && info.subgroupMinSize === info.subgroupMaxSize;
  const choose = (name: string, constants: Constants = {}) => ({
    kernel: name as keyof KernelSet,
    constants,
  });
  if (isSoftware) {
    // Sixteen rows at a time: half of the work would be for nothing on few.
    const quads = subgroups && rows > FEW_ROWS;
    if (quads && kernel === 'matmulPanels') return choose('matmulPanelsQuad');
    if (quads && kernel === 'matmulInt8') return choose('matmulInt8Quad');
    return choose(kernel);
  }
  if (kernel === 'matmulPanels') return choose('matmulPanelsTiled');
  if (kernel === 'attendToken') return choose(kernel, { WORKGROUP_SIZE: 64 });
  if (kernel !== 'gemvPanels') return choose(kernel);
  // Without one size of subgroups: whole ones, whatever their size.
  return oneSubgroupSize ? choose('gemvPanelsSubgroup') : choose(kernel, { WORKGROUP_SIZE: 64 });
}
