/** Finds the kernels of the fast forms: the user's own first, then the tuned variant, then the adapter's default. */
import type { Gpu } from '../../gpu/device.ts';
import type { Kernel } from '../../gpu/kernel.ts';
import type { Tensor } from '../../gpu/tensor.ts';
import { type FastKernels, fastKernels } from '../../kernels/fast/fastKernels.ts';
import type { KernelSet } from '../../kernels/kernelSet.ts';
import { FEW_ROWS } from '../graph/linear.ts';
import { adapterVariant, shapeClass, type Tuning, type Variant } from './variants.ts';

type KernelName = keyof KernelSet;
type FastName = keyof FastKernels;

/** Kernels with the same contract as the first, which can replace each other. The last ones are best for many rows. */
const STAND_INS: Readonly<Record<string, readonly string[]>> = {
  gemvPanels: ['gemvPanels', 'gemvPanelsSubgroup'],
  matmulPanels: ['matmulPanels', 'matmulPanelsTiled', 'matmulPanelsQuad'],
  matmulInt8: ['matmulInt8', 'matmulInt8Quad'],
};

/** The kernels of a linear layer that share a loop, by ending. An ending without a kernel is composed of `store` and a plain one. */
export interface LinearFamily {
  readonly store: Kernel;
  readonly add?: Kernel;
  readonly gate?: Kernel;
  readonly gelu?: Kernel;
}

/** The endings that a layer is called with. */
export type UsedEndings = 'all' | 'store';

/** The plain kernels that each fast form bypasses. If the user replaced one of them, the form yields; `note` then says what runs. */
const YIELDS = {
  linear: { to: ['gemv', 'matmul'], note: 'linear layers run in their plain form' },
  add: { to: ['add'], note: 'linear layers use it to add the residual' },
  gate: { to: ['siluGate'], note: 'linear layers use it for silu(gate) · up' },
  gelu: { to: ['gelu'], note: 'linear layers use it for the GELU' },
  half: {
    to: ['', 'Tiled', 'Quad'].flatMap((text) =>
      ['', 'Add', 'Gate', 'Gelu'].map((ending) => `matmulPanels${text}${ending}`),
    ),
    note: 'the vision tower multiplies in f32',
  },
  prompt: { to: ['mRope', 'writeKv', 'causalAttention'], note: 'prompts use the plain attention' },
  token: { to: ['mRope', 'writeKv', 'decodeAttention'], note: 'decode steps use the plain attention' },
  vision: { to: ['visionAttention'], note: 'the vision tower uses the plain attention' },
  tiedTable: { to: ['embed'], note: 'the token table stays in rows, and the head is a plain linear layer' },
} as const satisfies Record<string, { to: readonly string[]; note: string }>;

/** The calls that a kernel serves, by the beginning of its name; the longest match counts. */
const SERVES: Readonly<Record<string, string>> = {
  attendToken: 'decode steps',
  attendTokenSplits: 'decode steps on a GPU with a long context, whose keys are split',
  attentionScores: 'prompts, and decode steps with too many heads for attendToken',
  attentionValues: 'prompts, and decode steps with too many heads for attendToken',
  embedPanels: 'token tables that are also the output head',
  gemvInt8: "the decoder's linear layers on one row with precision 'fast'",
  gemvPanels: 'linear layers on one row, weights in panels',
  matmulInt8: "the decoder's linear layers on several rows with precision 'fast'",
  matmulPanels: 'linear layers on several rows, weights in panels',
  matmulPanelsHalf: "the vision tower's linear layers with precision 'fast', on a GPU with shader-f16",
  mergeSplits: 'decode steps on a GPU with a long context, whose keys are split',
  quantize: "the decoder's linear layers with precision 'fast'",
  rotateAndCache: 'prompts, and decode steps with too many heads for attendToken',
  rowScales: "the vision tower's linear layers with precision 'fast', on a GPU with shader-f16",
  tokenAngles: 'decode steps',
  transposeRows: 'linear layers on several rows, weights in panels',
  vision: 'attention in the vision tower',
};

const ENDINGS: Readonly<Record<string, string>> = {
  Add: ', when they add to the residual',
  Gate: ', when they compute silu(gate) · up',
  Gelu: ', when a GELU follows',
};

export class KernelLookup {
  readonly #gpu: Gpu;
  readonly #own: Readonly<Partial<Record<string, Kernel>>>;
  readonly #tuning: Tuning | null;
  readonly #variants = new Map<string, Kernel>();
  readonly #served = new Set<string>();
  readonly #notes = new Set<string>();
  /** The user's kernels that never run because another of the user's kernels takes precedence: name → that kernel. */
  readonly #beaten = new Map<string, string>();

  constructor(gpu: Gpu, own: Partial<KernelSet>, tuning: Tuning | null) {
    this.#gpu = gpu;
    this.#own = own as Partial<Record<string, Kernel>>;
    this.#tuning = tuning;
  }

  /** Whether this form must yield because the user replaced a plain kernel that it would bypass; if so, it is noted. */
  yields(form: keyof typeof YIELDS): boolean {
    const { to, note } = YIELDS[form];
    const own = to.filter((name) => this.#own[name] !== undefined);
    if (own.length > 0) this.#notes.add(`${own.join(', ')} is your own: ${note}`);
    return own.length > 0;
  }

  /**
   * The kernel for calls of this many rows. The user's own kernel always takes precedence over a tuned one.
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

  /** `find` for any number of rows. */
  byRows<N extends FastName>(name: N): (rows: number) => FastKernels[N] {
    const [one, few, many] = [1, FEW_ROWS, FEW_ROWS + 1].map((rows) => this.find(name, rows));
    return (rows) => (rows === 1 ? one : rows <= FEW_ROWS ? few : many);
  }

  /**
   * A linear layer's kernels for calls of this many rows, without the endings that yield to one of the user's kernels.
   *
   * @param endings 'store' for a layer that only stores: kernels for other endings then count as unused
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

  /** A line for each form that yielded, and for each of the user's kernels that the model never runs. */
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

/** The note on one of the user's kernels that never runs. @param beatenBy another of the user's kernels that runs instead */
export function idleNote(name: KernelName | string, beatenBy?: string): string {
  const served = Object.keys(SERVES)
    .filter((beginning) => name.startsWith(beginning))
    .sort((a, b) => b.length - a.length);
  const ending = Object.keys(ENDINGS).find((suffix) => name.endsWith(suffix));
  const calls = `${SERVES[served[0]]}${ending ? ENDINGS[ending] : ''}`;
  const why = beatenBy
    ? `your ${beatenBy} takes precedence there`
    : 'this model, as loaded, makes no such calls';
  return `${name} is your own, but it never runs: it serves ${calls}; ${why}`;
}
