/** Variants of the fast kernels: an adapter's defaults, and the alternatives that a tuning can choose. */
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

/** The tuned kernels, each with the endings of the kernels that share its loop and therefore its choice. */
const TUNED_ENDINGS = {
  gemvPanels: ['', 'Add', 'Gate'],
  matmulPanels: ['', 'Add', 'Gate', 'Gelu'],
  attendToken: ['', 'Splits'],
  attentionScores: [''],
  attentionValues: [''],
} as const;

export type TunedKernel = keyof typeof TUNED_ENDINGS;

/** The variant to run for each kernel and shape class. Calls of other classes run the default. Plain data, JSON-compatible. */
export type Tuning = { readonly [K in TunedKernel]?: Readonly<Record<string, Variant>> };

export const TUNED_KERNELS = Object.keys(TUNED_ENDINGS) as readonly TunedKernel[];

/** The class of calls that share a choice, e.g. `one row, up to 512 columns, bf16`. @param weight [outDim, inDim]; none: attention */
export function shapeClass(rows: number, weight?: Pick<Tensor, 'dtype' | 'shape'>): string {
  const rowsClass = rows === 1 ? 'one row' : rows <= FEW_ROWS ? 'up to 8 rows' : 'more than 8 rows';
  if (weight === undefined) return rowsClass;
  let columns = 64;
  while (columns < weight.shape[0]) columns *= 8;
  return `${rowsClass}, up to ${columns} columns, ${weight.dtype}`;
}

/** The kernels of a variant, one for each ending that is tuned with it. */
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
 * The variant of a kernel that an adapter runs without tuning. A GPU reads memory in wide lines, so neighbouring threads should
 * share what they load, through subgroups or workgroup memory. On a software adapter each thread reads for itself.
 */
export function adapterVariant({ device, info, isSoftware }: Gpu, kernel: string, rows: number): Variant {
  const subgroups = device.features.has('subgroups');
  const oneSubgroupSize = subgroups && info.subgroupMinSize === info.subgroupMaxSize;
  const choose = (name: string, constants: Constants = {}) => ({
    kernel: name as keyof KernelSet,
    constants,
  });
  if (isSoftware) {
    // The quad kernels compute sixteen rows at a time: for few rows half of that would be wasted.
    const quads = subgroups && rows > FEW_ROWS;
    if (quads && kernel === 'matmulPanels') return choose('matmulPanelsQuad');
    if (quads && kernel === 'matmulInt8') return choose('matmulInt8Quad');
    return choose(kernel);
  }
  if (kernel === 'matmulPanels') return choose('matmulPanelsTiled');
  if (kernel === 'attendToken') return choose(kernel, { WORKGROUP_SIZE: 64 });
  if (kernel !== 'gemvPanels') return choose(kernel);
  // If the subgroup size may vary, a workgroup of 64 is a whole number of subgroups anyway.
  return oneSubgroupSize ? choose('gemvPanelsSubgroup') : choose(kernel, { WORKGROUP_SIZE: 64 });
}
