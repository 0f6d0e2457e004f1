/** The one place where a fast form finds its kernels: the user's own, else the tuned one, else the adapter's. */
import type { Gpu } from '../../gpu/device.ts';
import type { Kernel } from '../../gpu/kernel.ts';
import type { Tensor } from '../../gpu/tensor.ts';
import { type FastKernels, fastKernels } from '../../kernels/fast/fastKernels.ts';
import type { KernelSet } from '../../kernels/kernelSet.ts';
import { FEW_ROWS } from '../graph/linear.ts';
import { adapterVariant, shapeClass, type Tuning, type Variant } from './variants.ts';

type KernelName = keyof KernelSet;
type FastName = keyof FastKernels;

/** Kernels with the contract of the first: each may run in the place of the others. The last ones are for many rows. */
const STAND_INS: Readonly<Record<string, readonly string[]>> = {
  gemvPanels: ['gemvPanels', 'gemvPanelsSubgroup'],
  matmulPanels: ['matmulPanels', 'matmulPanelsTiled', 'matmulPanelsQuad'],
  matmulInt8: ['matmulInt8', 'matmulInt8Quad'],
};

/** The kernels of a linear layer that share a loop, by what becomes of their sums; those that there are not are composed. */
export interface LinearFamily {
  readonly store: Kernel;
  readonly add?: Kernel;
  readonly gate?: Kernel;
  readonly gelu?: Kernel;
}

/** Which endings a layer is called with. */
export type UsedEndings = 'all' | 'store';

/** What a form does on the way, and the plain kernels that it takes the place of: where one of them is the user's, it yields. */
const YIELDS = {
  linear: { to: ['gemv', 'matmul'], note: 'linear layers run in their plain form' },
  add: { to: ['add'], note: 'linear layers leave the residual to it' },
  gate: { to: ['siluGate'], note: 'linear layers leave silu(gate) · up to it' },
  gelu: { to: ['gelu'], note: 'linear layers leave the GELU to it' },
  half: {
    to: ['', 'Tiled', 'Quad'].flatMap((text) =>
      ['', 'Add', 'Gate', 'Gelu'].map((ending) => `matmulPanels${text}${ending}`),
    ),
    note: 'the vision tower multiplies in f32',
  },
  prompt: { to: ['mRope', 'writeKv', 'causalAttention'], note: 'prompts attend in the plain form' },
  token: { to: ['mRope', 'writeKv', 'decodeAttention'], note: 'decode steps attend in the plain form' },
  vision: { to: ['visionAttention'], note: 'the vision tower attends in the plain form' },
  tiedTable: { to: ['embed'], note: 'the token table lies in rows, its head is a plain linear layer' },
} as const satisfies Record<string, { to: readonly string[]; note: string }>;

/** Which calls a kernel serves, by the beginning of its name; the longest fits. */
const SERVES: Readonly<Record<string, string>> = {
  attendToken: 'decode steps',
  attendTokenSplits: 'decode steps on a GPU, where the keys of a long context are split',
  attentionScores: 'prompts, and decode steps that attendToken has no room for',
  attentionValues: 'prompts, and decode steps that attendToken has no room for',
  embedPanels: 'token tables that are the output head, too',
  gemvInt8: "the decoder's linear layers on one row with precision 'fast'",
  gemvPanels: 'linear layers on one row, weights in panels',
  matmulInt8: "the decoder's linear layers on several rows with precision 'fast'",
  matmulPanels: 'linear layers on several rows, weights in panels',
  matmulPanelsHalf: "the vision tower's linear layers with precision 'fast', on a GPU with shader-f16",
  mergeSplits: 'decode steps on a GPU, where the keys of a long context are split',
  quantize: "the decoder's linear layers with precision 'fast'",
  rotateAndCache: 'prompts, and decode steps that attendToken has no room for',
  rowScales: "the vision tower's linear layers with precision 'fast', on a GPU with shader-f16",
  tokenAngles: 'decode steps',
  transposeRows: 'linear layers on several rows, weights in panels',
  vision: 'attention in the vision tower',
};

const ENDINGS: Readonly<Record<string, string>> = {
  Add: ', where they add to the residual',
  Gate: ', where they gate',
  Gelu: ', where a GELU follows',
};

export class KernelLookup {
  readonly #gpu: Gpu;
  readonly #own: Readonly<Partial<Record<string, Kernel>>>;
  readonly #tuning: Tuning | null;
  readonly #variants = new Map<string, Kernel>();
  readonly #served = new Set<string>();
  readonly #notes = new Set<string>();
  /** Own kernels that another own kernel went before, by name. */
  readonly #beaten = new Map<string, string>();

  constructor(gpu: Gpu, own: Partial<KernelSet>, tuning: Tuning | null) {
    this.#gpu = gpu;
    this.#own = own as Partial<Record<string, Kernel>>;
    this.#tuning = tuning;
  }

  /** Whether the user replaced a plain kernel that this form would take the place of; then it is noted. */
  yields(form: keyof typeof YIELDS): boolean {
    const { to, note } = YIELDS[form];
    const own = to.filter((name) => this.#own[name] !== undefined);
    if (own.length > 0) this.#notes.add(`${own.join(', ')} is your own: ${note}`);
    return own.length > 0;
  }

  /**
   * The kernel for calls of so many rows.
   *
   * @param weight of a linear layer, [outDim, inDim]
   */
  find<N extends FastName>(name: N, rows = 1, weight?: Tensor): FastKernels[N] {
    const [, base, ending] = name.match(/^(.*?)(Add|Gate|Gelu|Splits|)$/) as [unknown, string, string];
    const standIns = (STAND_INS[base] ?? [base]).map((standIn) => standIn + ending);
    const order = rows > FEW_ROWS ? standIns.toReversed() : standIns;
    const [first, ...others] = order.filter((standIn) => this.#own[standIn] !== undefined);
    if (first === undefined) {
      const tuned = this.#tuning?.[base as keyof Tuning]?.[shapeClass(rows, weight)];
      return this.#variant(
        tuned ?? adapterVariant(this.#gpu, base, rows),
        ending,
      ) as unknown as FastKernels[N];
    }
    this.#served.add(first);
    for (const other of others) this.#beaten.set(other, first);
    return this.#own[first] as unknown as FastKernels[N];
  }

  /** `find` for each number of rows. */
  byRows<N extends FastName>(name: N): (rows: number) => FastKernels[N] {
    const [one, few, many] = [1, FEW_ROWS, FEW_ROWS + 1].map((rows) => this.find(name, rows));
    return (rows) => (rows === 1 ? one : rows <= FEW_ROWS ? few : many);
  }

  /**
   * A linear layer's kernels for calls of so many rows, without the endings that yield to a kernel of the user's.
   *
   * @param endings 'store' for a layer that only stores: its other kernels do not count as run
   */
  family(
    name: 'gemvPanels' | 'gemvInt8' | 'matmulPanels' | 'matmulPanelsHalf' | 'matmulInt8',
    rows: number,
    weight?: Tensor,
    endings: UsedEndings = 'all',
  ): LinearFamily {
    const ending = (form: 'add' | 'gate' | 'gelu', suffix: string) => {
      const full = name + suffix;
      const isUsed = endings === 'all' && Object.hasOwn(fastKernels, full) && !this.yields(form);
      return isUsed ? { [form]: this.find(full as FastName, rows, weight) } : {};
    };
    const store = this.find(name, rows, weight);
    return {
      store,
      ...ending('add', 'Add'),
      ...ending('gate', 'Gate'),
      ...ending('gelu', 'Gelu'),
    } as unknown as LinearFamily;
  }

  /** A line for each form that yielded, and for each own kernel that no form of the model runs. */
  notes(): string[] {
    const idle = Object.keys(this.#own).filter(
      (name) => Object.hasOwn(fastKernels, name) && !this.#served.has(name),
    );
    return [...this.#notes, ...idle.map((name) => idleNote(name, this.#beaten.get(name)))];
  }

  #variant({ kernel, constants }: Variant, ending: string): Kernel {
    const key = JSON.stringify([kernel + ending, constants]);
    const standard = (fastKernels as unknown as Record<string, Kernel>)[kernel + ending];
    const made =
      this.#variants.get(key) ??
      (Object.keys(constants).length > 0 ? standard.variant({ constants }) : standard);
    this.#variants.set(key, made);
    return made;
  }
}

/** @param beatenBy another kernel of the user's that runs in its place */
export function idleNote(name: KernelName | string, beatenBy?: string): string {
  const served = Object.keys(SERVES)
    .filter((beginning) => name.startsWith(beginning))
    .sort((a, b) => b.length - a.length);
  const ending = Object.keys(ENDINGS).find((suffix) => name.endsWith(suffix));
  const calls = `${SERVES[served[0]]}${ending ? ENDINGS[ending] : ''}`;
  const why = beatenBy ? `your ${beatenBy} runs there` : 'as it is loaded, this model has none';
  return `${name} is your own and does not run: it serves ${calls}; ${why}`;
}
