/** Kernels as a tuning has them: for each call, the variant that was fastest in its shape class. `tune` makes tunings. */
import type { Constants } from '../../../gpu/declaration.ts';
import type { Kernel } from '../../../gpu/kernel.ts';
import type { Symbols } from '../../../gpu/shapes.ts';
import type { Tensor } from '../../../gpu/tensor.ts';
import { type KernelSet, kernels as standardKernels } from '../../../kernels/index.ts';

/** A standard kernel with other constants, e.g. `{ kernel: 'gemvPanels', constants: { WORKGROUP_SIZE: 32 } }`. */
export interface Variant {
  readonly kernel: keyof KernelSet;
  readonly constants: Constants;
}

/** The kernels that are tuned, and the endings of those that share their loop: these get the same choice. */
const FORMS = {
  gemvPanels: ['', 'Add', 'Gate'],
  matmulPanels: ['', 'Add', 'Gate', 'Gelu'],
  attendToken: ['', 'Splits'],
  attentionScores: [''],
  attentionValues: [''],
} as const;

export type TunedKernel = keyof typeof FORMS;

/** For each kernel and shape class the variant to run; a call of any other class runs the default. Plain data, fit for JSON. */
export type Tuning = { readonly [K in TunedKernel]?: Readonly<Record<string, Variant>> };

export const TUNED_KERNELS = Object.keys(FORMS) as readonly TunedKernel[];

/** At most so many has a pass that verifies drafted tokens. */
export const FEW_ROWS = 8;

/** @param weight of a linear layer, [outDim, inDim]; attention has none */
export function shapeClass(rows: number, weight?: Pick<Tensor, 'dtype' | 'shape'>): string {
  const rowsClass = rows === 1 ? 'one row' : rows <= FEW_ROWS ? 'up to 8 rows' : 'more than 8 rows';
  if (weight === undefined) return rowsClass;
  let columns = 64;
  while (columns < weight.shape[0]) columns *= 8;
  return `${rowsClass}, up to ${columns} columns, ${weight.dtype}`;
}

/** A variant in each form that it has. */
export function variantForms(
  tuned: TunedKernel,
  { kernel, constants }: Variant,
): { name: string; form: Kernel }[] {
  const standard = standardKernels as unknown as Readonly<Partial<Record<string, Kernel>>>;
  return FORMS[tuned].flatMap((ending) => {
    const form = standard[kernel + ending]?.variant({ constants });
    return form ? [{ name: tuned + ending, form }] : [];
  });
}

/** @returns the kernels that take the place of `defaults` of the same name */
export function tunedKernels(defaults: KernelSet, tuning: Tuning): Partial<KernelSet> {
  const variants = new Map<string, Map<string, Kernel>>(); // by the name of the kernel, then by shape class
  for (const tuned of TUNED_KERNELS) {
    for (const [ofClass, variant] of Object.entries(tuning[tuned] ?? {})) {
      for (const { name, form } of variantForms(tuned, variant)) {
        variants.set(name, (variants.get(name) ?? new Map<string, Kernel>()).set(ofClass, form));
      }
    }
  }
  const fallbacks = defaults as unknown as Readonly<Record<string, Kernel>>;
  return Object.fromEntries(
    [...variants].map(([name, byClass]) => [name, byShape(fallbacks[name], byClass)]),
  );
}

function byShape(fallback: Kernel, byClass: ReadonlyMap<string, Kernel>): Kernel {
  const call = (...[pass, tensors, params]: Parameters<Kernel>) =>
    (byClass.get(classOfCall(tensors, params)) ?? fallback)(pass, tensors, params);
  const { declaration, run, variant } = fallback;
  return Object.assign(call, { declaration, run, variant });
}

function classOfCall({ weight }: Readonly<Record<string, Tensor>>, params: Symbols = {}): string {
  return shapeClass(params.rows ?? params.queries ?? 1, weight); // gemvPanels and attendToken have one, and don't say so
}
