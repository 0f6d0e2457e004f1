/** The kernels and forms that a model is loaded with. Only this file chooses between plain and fast. */
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
 * 'fast': weights in panels, and kernels that fuse several steps. 'plain': one kernel for each step of docs/MODEL.md. Both give
 * the same numbers within the tolerances of the goldens.
 */
export type KernelSetName = 'fast' | 'plain';

/**
 * 'exact': weights as stored, results within the tolerances of the goldens. 'fast': the decoder's linear layers use 8-bit
 * integers for weights and activations, and the vision tower's use f16 on a GPU with `shader-f16`. docs/MODEL.md gives the error.
 */
export type Precision = 'exact' | 'fast';

export interface KernelOptions {
  /** Default: 'exact'. */
  readonly precision?: Precision;
  /** Default: 'fast'. */
  readonly kernelSet?: KernelSetName;
  /** Your own kernels, by the name of the standard kernel that each replaces. A fast kernel that would bypass one is not used. */
  readonly kernels?: Partial<KernelSet>;
  /** The result of `tune` for this adapter: the fast kernels' variants by shape. Default: none. */
  readonly tuning?: Tuning | null;
}

/** Makes a linear layer from weights on the GPU. */
export type LinearForm = (weights: LinearWeights, loader: WeightLoader) => Linear | Promise<Linear>;

/** The kernels and forms of one model, and the weight layouts that they need. */
export interface Forms {
  readonly kernels: PlainKernels & ChoosingKernels;
  readonly attention: Attention;
  /** Layout of the weights of linear layers. */
  readonly linearLayout: Layout;
  readonly visionLinear: LinearForm;
  readonly decoderLinear: LinearForm;
  readonly projectorLinear: LinearForm;
  readonly head: LinearForm;
  /** Layout of the token table. */
  readonly tableLayout: Layout;
  readonly embedding: (table: Tensor) => Embedding;
  /** A line for each fast form that is not used because of one of your own kernels, and for each of your kernels that never runs. */
  notes(): readonly string[];
}

/** Chooses the forms. The options must have passed `checkKernelOptions`. */
export function chooseForms(gpu: Gpu, config: ModelConfig, options: KernelOptions): Forms {
  const { kernelSet = 'fast', precision = 'exact', kernels: own = {}, tuning = null } = options;
  if (kernelSet === 'plain') {
    const idle = Object.keys(own).filter((name) => name in fastKernels);
    const notes = [...idle.map((name) => idleNote(name)), ...needsPanels(precision)];
    return { ...plainForms({ ...plainKernels, ...choosingKernels, ...own }), notes: () => notes };
  }
  const kernels = { ...plainKernels, ...choosingKernels, ...(gpu.isSoftware ? fewThreads : {}), ...own };
  const lookup = new KernelLookup(gpu, own, tuning);
  const splitKeys = gpu.isSoftware ? Number.POSITIVE_INFINITY : 128; // one workgroup per split: a GPU needs many
  const forms = { ...plainForms(kernels), attention: fastAttention(kernels, lookup, config, splitKeys) };
  return lookup.yields('linear')
    ? { ...forms, notes: () => [...lookup.notes(), ...needsPanels(precision)] }
    : { ...forms, ...panelForms(gpu, config, kernels, lookup, precision), notes: () => lookup.notes() };
}

/** One kernel for each step. */
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

/** Linear layers with weights in panels. With precision 'fast' the decoder's use 8-bit integers and, on GPUs, the tower's f16. */
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
  // Images always have several rows, except the single merged token of the smallest one.
  const pictures: LinearForm = (weights) => severalRows(kernels, lookup, weights);
  const layers: Partial<Forms> = {
    linearLayout: 'panels',
    visionLinear: inHalf ? (weights) => halfLinear(kernels, lookup, weights) : pictures,
    decoderLinear: precision === 'fast' ? int8 : linear,
    projectorLinear: pictures,
  };
  const head: LinearForm = (weights) => panelLinear(kernels, lookup, weights, 'store');
  if (!llm.tieWordEmbeddings) return { ...layers, head };
  // The token table and the head are one tensor.
  if (lookup.yields('tiedTable')) return layers;
  const embedPanels = lookup.find('embedPanels');
  const embedding =
    (table: Tensor): Embedding =>
    (pass, ids) =>
      embedPanels(pass, { ids, table });
  return { ...layers, head, tableLayout: 'panels', embedding };
}

/** A software adapter runs the threads of a workgroup one after the other between barriers, so small workgroups are faster. */
const eight = { constants: { WORKGROUP_SIZE: 8 } };
const fewThreads = {
  argmax: choosingKernels.argmax.variant(eight),
  l2Normalize: plainKernels.l2Normalize.variant(eight),
  rmsNorm: plainKernels.rmsNorm.variant(eight),
};

function needsPanels(precision: Precision): string[] {
  if (precision === 'exact') return [];
  return ["precision 'fast' has no effect: it needs the fast kernels of linear layers"];
}
