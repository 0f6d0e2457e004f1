/** Which kernels a model runs with: the one place that chooses between the plain ones and the fast ones beside them. */
import { InputError } from '../../errors.ts';
import type { Bindings } from '../../gpu/declaration.ts';
import type { Gpu } from '../../gpu/device.ts';
import type { Kernel } from '../../gpu/kernel.ts';
import type { Layout } from '../../gpu/tensor.ts';
import { type KernelSet, kernels as standardKernels } from '../../kernels/index.ts';
import { FEW_ROWS, type Tuning, tunedKernels } from '../fast/tuning/tunedKernels.ts';

/**
 * 'fast': weights in panels, and kernels that do several steps in one. 'plain': each step a kernel of its own, as docs/MODEL.md
 * has them. Both give the same numbers within the tolerances of the goldens.
 */
export type KernelSetName = 'fast' | 'plain';

/**
 * 'exact': what the checkpoint's numbers give, within the tolerances of the goldens. 'fast': the decoder's linear layers in 8-bit
 * integers, weights and activations, and the vision tower's in f16 on a GPU with `shader-f16`; docs/MODEL.md says how far off that is.
 */
export type Precision = 'exact' | 'fast';

export interface KernelOptions {
  /** Default: 'exact'. */
  readonly precision?: Precision;
  /** Default: 'fast'. */
  readonly kernelSet?: KernelSetName;
  /** Kernels in place of the standard ones of the same name. Where a fast kernel would do their work, it is not used. */
  readonly kernels?: Partial<KernelSet>;
  /** What `tune` chose for the adapter: other constants of the fast kernels, by shape. Default: none. */
  readonly tuning?: Tuning | null;
}

/** The kernels of one model, and which of the fast ones are used. */
export interface ModelKernels extends KernelSet {
  /** How the weights of linear layers lie: in panels they have kernels of their own. */
  readonly linearLayout: Layout;
  /** How a token table that is the output head too lies. */
  readonly tiedTableLayout: Layout;
  /** The decoder's linear layers, but for the head, are turned into 8-bit integers. */
  readonly usesInt8: boolean;
  /** The vision tower's linear layers on many rows multiply in f16. */
  readonly visionInHalf: boolean;
  /** A linear layer adds its result to the residual itself. */
  readonly fusesAdd: boolean;
  /** A linear layer of gate and up columns applies silu(gate) · up itself. */
  readonly fusesGate: boolean;
  /** A linear layer applies the GELU behind it itself. */
  readonly fusesGelu: boolean;
  /** `rotateAndCache` instead of `mRope` and `writeKv`. */
  readonly fusesCache: boolean;
  /** Decoding rotates, writes the cache and attends in one kernel, or two where the keys are split. */
  readonly fusesDecode: boolean;
  /** Keys of a split; Infinity: one for all. */
  readonly decodeSplitKeys: number;
  /** Scores and values in two kernels, in decoder and vision tower. */
  readonly twoPassAttention: boolean;
  readonly twoPassVision: boolean;
}

/** What a fast kernel does in the place of plain ones. */
const REPLACES = {
  'linear layers on panels': ['gemv', 'matmul'],
  'f16 in the vision tower': ['matmulPanels', 'matmulPanelsAdd', 'matmulPanelsGate', 'matmulPanelsGelu'],
  'the residual in linear layers': ['add'],
  'silu in linear layers': ['siluGate'],
  'gelu in linear layers': ['gelu'],
  rotateAndCache: ['mRope', 'writeKv'],
  attendToken: [
    'mRope',
    'writeKv',
    'rotateAndCache',
    'decodeAttention',
    'attentionScores',
    'attentionValues',
  ],
  'attention in two kernels': ['causalAttention', 'decodeAttention'],
  'vision attention in two kernels': ['visionAttention'],
  'a tied table in panels': ['embed'],
} as const satisfies Record<string, readonly (keyof KernelSet)[]>;

/**
 * @returns the kernels, and a line for each fast one that gives way to a kernel of the caller's
 * @throws InputError INPUT_RANGE, INPUT_TYPE: an option, by its field
 */
export function chooseKernels(
  gpu: Gpu,
  { kernelSet = 'fast', precision = 'exact', kernels: own = {}, tuning }: KernelOptions,
): { kernels: ModelKernels; notes: readonly string[] } {
  checkOneOf('kernelSet', kernelSet, ['fast', 'plain']);
  checkOneOf('precision', precision, ['exact', 'fast']);
  checkOwn(own);
  const notes: string[] = [];
  const isUsed = (fast: keyof typeof REPLACES, ...needs: readonly boolean[]) => {
    if (kernelSet === 'plain' || needs.includes(false)) return false;
    const replaced = REPLACES[fast].filter((name) => own[name] !== undefined);
    if (replaced.length > 0) notes.push(`${replaced.join(', ')} is your own: without ${fast}`);
    return replaced.length === 0;
  };
  const onPanels = isUsed('linear layers on panels');
  const halfIsFaster = !gpu.isSoftware && gpu.device.features.has('shader-f16');
  const choice = {
    linearLayout: onPanels ? 'panels' : 'rows',
    tiedTableLayout: isUsed('a tied table in panels', onPanels) ? 'panels' : 'rows',
    usesInt8: onPanels && precision === 'fast',
    visionInHalf: isUsed('f16 in the vision tower', onPanels, precision === 'fast', halfIsFaster),
    fusesAdd: isUsed('the residual in linear layers', onPanels),
    fusesGate: isUsed('silu in linear layers', onPanels),
    fusesGelu: isUsed('gelu in linear layers', onPanels),
    fusesCache: isUsed('rotateAndCache'),
    fusesDecode: isUsed('attendToken'),
    decodeSplitKeys: gpu.isSoftware ? Infinity : 128, // a workgroup for each split keeps a GPU busy
    twoPassAttention: isUsed('attention in two kernels'),
    twoPassVision: isUsed('vision attention in two kernels'),
  } as const;
  if (precision === 'fast' && !choice.usesInt8) {
    notes.push("precision 'fast' needs the fast kernels of linear layers: weights stay as stored");
  }
  const defaults = kernelSet === 'fast' ? { ...standardKernels, ...adapterKernels(gpu) } : standardKernels;
  const tuned = kernelSet === 'fast' && tuning ? tunedKernels(defaults, tuning) : {};
  return { kernels: { ...defaults, ...tuned, ...own, ...choice }, notes };
}

function checkOneOf(field: string, value: unknown, allowed: readonly string[]): void {
  if (allowed.includes(value as string)) return;
  throw new InputError('INPUT_RANGE', `${field} is ${JSON.stringify(value)}`, {
    field,
    hint: `give one of: ${allowed.join(', ')}`,
  });
}

/** A misspelt name would leave the standard kernel in place, and its user believing in the own one. */
function checkOwn(own: Readonly<Record<string, unknown>>): void {
  for (const [name, kernel] of Object.entries(own)) {
    const field = `kernels.${name}`;
    if (!Object.hasOwn(standardKernels, name)) {
      const hint = 'take a name that `m2 kernel list` shows';
      throw new InputError('INPUT_RANGE', `there is no kernel ${name} to replace`, { field, hint });
    }
    if (typeof kernel !== 'function' || !('declaration' in kernel)) {
      const hint = `give what kernels.${name}.variant(…) or defineKernel(…) returns`;
      throw new InputError('INPUT_TYPE', `${field} is no kernel`, { field, hint });
    }
  }
}

/** A software adapter runs the threads of a workgroup in turn, from barrier to barrier: fewer of them are faster. */
const fewThreads = { constants: { WORKGROUP_SIZE: 8 } };
const softwareKernels = {
  argmax: standardKernels.argmax.variant(fewThreads),
  l2Normalize: standardKernels.l2Normalize.variant(fewThreads),
  rmsNorm: standardKernels.rmsNorm.variant(fewThreads),
};

const quadKernels = {
  matmulPanels: byRows(standardKernels.matmulPanels, standardKernels.matmulPanelsQuad),
  matmulPanelsAdd: byRows(standardKernels.matmulPanelsAdd, standardKernels.matmulPanelsQuadAdd),
  matmulPanelsGate: byRows(standardKernels.matmulPanelsGate, standardKernels.matmulPanelsQuadGate),
  matmulPanelsGelu: byRows(standardKernels.matmulPanelsGelu, standardKernels.matmulPanelsQuadGelu),
  matmulInt8: byRows(standardKernels.matmulInt8, standardKernels.matmulInt8Quad),
  matmulInt8Add: byRows(standardKernels.matmulInt8Add, standardKernels.matmulInt8QuadAdd),
  matmulInt8Gate: byRows(standardKernels.matmulInt8Gate, standardKernels.matmulInt8QuadGate),
};

/** `many` takes 16 rows at a time: half of its work would be for nothing on few. @returns `many` to those who ask what it is */
function byRows<B extends Bindings, P extends { readonly rows: 'u32' }>(
  few: Kernel<B, P>,
  many: Kernel<B, P>,
): Kernel<B, P> & { readonly few: Kernel<B, P> } {
  const call = (...[pass, tensors, params]: Parameters<Kernel<B, P>>) =>
    (params !== undefined && params.rows > FEW_ROWS ? many : few)(pass, tensors, params);
  const { declaration, run, variant } = many;
  return Object.assign(call, { declaration, run, variant, few });
}

/** @param kernel of `chooseKernels` @returns the one that it calls with so many rows */
export function kernelForRows(
  kernel: Pick<Kernel, 'declaration'>,
  rows: number,
): Pick<Kernel, 'declaration'> {
  return rows <= FEW_ROWS && 'few' in kernel ? (kernel.few as Kernel) : kernel;
}

/**
 * A GPU reads memory in wide strips: neighbouring threads share them, by way of subgroups or workgroup memory. A software adapter
 * reads for each thread alone.
 */
function adapterKernels({ device, info, isSoftware }: Gpu): Partial<KernelSet> {
  if (isSoftware)
    return device.features.has('subgroups') ? { ...softwareKernels, ...quadKernels } : softwareKernels;
  const tiled = {
    attendToken: standardKernels.attendToken.variant({ constants: { WORKGROUP_SIZE: 64 } }),
    matmulPanels: standardKernels.matmulPanelsTiled,
    matmulPanelsAdd: standardKernels.matmulPanelsTiledAdd,
    matmulPanelsGate: standardKernels.matmulPanelsTiledGate,
    matmulPanelsGelu: standardKernels.matmulPanelsTiledGelu,
  };
  const { subgroupMinSize, subgroupMaxSize } = info;
  if (!device.features.has('subgroups') || subgroupMinSize !== subgroupMaxSize) {
    const constants = { WORKGROUP_SIZE: 64 }; // whole subgroups, whatever their size
    return {
      ...tiled,
      gemvPanels: standardKernels.gemvPanels.variant({ constants }),
      gemvPanelsAdd: standardKernels.gemvPanelsAdd.variant({ constants }),
      gemvPanelsGate: standardKernels.gemvPanelsGate.variant({ constants }),
    };
  }
  return {
    ...tiled,
    gemvPanels: standardKernels.gemvPanelsSubgroup,
    gemvPanelsAdd: standardKernels.gemvPanelsSubgroupAdd,
    gemvPanelsGate: standardKernels.gemvPanelsSubgroupGate,
  };
}
