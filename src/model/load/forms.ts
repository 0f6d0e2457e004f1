/** Which kernels and which forms a model is loaded with: the one place that chooses between plain and fast. */
import type { Gpu } from '../../gpu/device.ts';
import type { Layout, Tensor } from '../../gpu/tensor.ts';
import { type ChoosingKernels, choosingKernels } from '../../kernels/choose/choosingKernels.ts';
import { fastKernels } from '../../kernels/fast/fastKernels.ts';
import type { KernelSet } from '../../kernels/kernelSet.ts';
import { type PlainKernels, plainKernels } from '../../kernels/plain/plainKernels.ts';
import type { ModelConfig } from '../checkpoint/config.ts';
import { fastAttention } from '../fast/fastAttention.ts';
import { toInt8 } from '../fast/int8Weights.ts';
import { idleNote, KernelLookup } from '../fast/kernelLookup.ts';
import { halfLinear, int8Linear, panelLinear, severalRows } from '../fast/linearForms.ts';
import type { Tuning } from '../fast/variants.ts';
import { type Attention, plainAttention } from '../graph/attention.ts';
import { type Embedding, plainEmbedding } from '../graph/embedTokens.ts';
import { type Linear, type LinearWeights, plainLinear } from '../graph/linear.ts';
import type { WeightLoader } from './weightLoader.ts';

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

/** Makes a linear layer of weights that lie on the GPU. */
export type LinearForm = (weights: LinearWeights, loader: WeightLoader) => Linear | Promise<Linear>;

/** How the parts of a model are made. */
export interface Forms {
  readonly kernels: PlainKernels & ChoosingKernels;
  readonly attention: Attention;
  /** How the weights of linear layers lie. */
  readonly linearLayout: Layout;
  readonly visionLinear: LinearForm;
  readonly decoderLinear: LinearForm;
  readonly projectorLinear: LinearForm;
  readonly head: LinearForm;
  /** How the token table lies. */
  readonly tableLayout: Layout;
  readonly embedding: (table: Tensor) => Embedding;
  /** A line for each fast form that gives way to a kernel of the caller's, and for each such kernel that no call runs. */
  notes(): readonly string[];
}

/** Kernels of the user must have been checked: `checkKernelOptions`. */
export function chooseForms(gpu: Gpu, config: ModelConfig, options: KernelOptions): Forms {
  const { kernelSet = 'fast', precision = 'exact', kernels: own = {}, tuning = null } = options;
  if (kernelSet === 'plain') {
    const idle = Object.keys(own).filter((name) => name in fastKernels);
    const notes = [...idle.map((name) => idleNote(name)), ...needsPanels(precision)];
    return { ...plainForms({ ...plainKernels, ...choosingKernels, ...own }), notes: () => notes };
  }
  const kernels = { ...plainKernels, ...choosingKernels, ...(gpu.isSoftware ? fewThreads : {}), ...own };
  const lookup = new KernelLookup(gpu, own, tuning);
  const splitKeys = gpu.isSoftware ? Number.POSITIVE_INFINITY : 128; // a workgroup for each split keeps a GPU busy
  const forms = { ...plainForms(kernels), attention: fastAttention(kernels, lookup, config, splitKeys) };
  return lookup.yields('linear')
    ? { ...forms, notes: () => [...lookup.notes(), ...needsPanels(precision)] }
    : { ...forms, ...panelForms(gpu, config, kernels, lookup, precision), notes: () => lookup.notes() };
}

/** Each step a kernel of its own. */
function plainForms(kernels: PlainKernels & ChoosingKernels): Omit<Forms, 'notes'> {
  const linear: LinearForm = (weights) => plainLinear(kernels, weights);
  return {
    kernels,
    attention: plainAttention(kernels),
    linearLayout: 'rows',
    visionLinear: linear,
    decoderLinear: linear,
    projectorLinear: linear,
    head: linear,
    tableLayout: 'rows',
    embedding: (table) => plainEmbedding(kernels, table),
  };
}

/** Linear layers on weights in panels, and with precision 'fast' in 8-bit integers (decoder) and f16 (vision tower, on GPUs). */
function panelForms(
  gpu: Gpu,
  { llm }: ModelConfig,
  kernels: PlainKernels,
  lookup: KernelLookup,
  precision: Precision,
): Partial<Forms> {
  const linear: LinearForm = (weights) => panelLinear(kernels, lookup, weights);
  const int8: LinearForm = async (weights, loader) => {
    const quantized = await toInt8(loader, lookup, weights);
    return quantized ? int8Linear(kernels, lookup, quantized) : linear(weights, loader);
  };
  const halfIsFaster = !gpu.isSoftware && gpu.device.features.has('shader-f16');
  const inHalf = precision === 'fast' && halfIsFaster && !lookup.yields('half');
  // Pictures have several rows: all but the merged token of the smallest one.
  const pictures: LinearForm = (weights) => severalRows(kernels, lookup, weights);
  const layers: Partial<Forms> = {
    linearLayout: 'panels',
    visionLinear: inHalf ? (weights) => halfLinear(kernels, lookup, weights) : pictures,
    decoderLinear: precision === 'fast' ? int8 : linear,
    projectorLinear: pictures,
  };
  const head: LinearForm = (weights) => panelLinear(kernels, lookup, weights, 'store');
  if (!llm.tieWordEmbeddings) return { ...layers, head };
  // One tensor is token table and head, too.
  if (lookup.yields('tiedTable')) return layers;
  const embedPanels = lookup.find('embedPanels');
  const embedding =
    (table: Tensor): Embedding =>
    (pass, ids) =>
      embedPanels(pass, { ids, table });
  return { ...layers, head, tableLayout: 'panels', embedding };
}

/** A software adapter runs the threads of a workgroup in turn, from barrier to barrier: fewer of them are faster. */
const eight = { constants: { WORKGROUP_SIZE: 8 } };
const fewThreads = {
  argmax: choosingKernels.argmax.variant(eight),
  l2Normalize: plainKernels.l2Normalize.variant(eight),
  rmsNorm: plainKernels.rmsNorm.variant(eight),
};

function needsPanels(precision: Precision): string[] {
  if (precision === 'exact') return [];
  return ["precision 'fast' needs the fast kernels of linear layers: weights stay as stored"];
}
