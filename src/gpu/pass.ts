import { type CompiledKernel, compileKernel } from './compile.ts';
import type { KernelDeclaration } from './declaration.ts';
import type { Gpu } from './device.ts';
import { dtypeOverride, foldGroups } from './dispatch.ts';
import { type Call, type Copy, encodeSteps, type PreparedDispatch, type PreparedStep } from './encode.ts';
import { bindingError, checkAliasing } from './kernelArguments.ts';
import { ParamsBlocks, packParams } from './params.ts';
import type { Symbols } from './shapes.ts';
import { LearnedWait } from './sleepThrough.ts';
import { stepWork } from './stepWork.ts';
import {
  freeTensors,
  type HostArray,
  readMapped,
  sizeBytes,
  type Tensor,
  upload,
  viewAs,
  zeros,
} from './tensor.ts';

/** Called for each tap after the pass has run. The tensor is valid until the returned promise resolves. */
export type TapListener = (name: string, tensor: Tensor) => void | Promise<void>;

/** Called with a pass after it has run. It may run the pass again, e.g. to time it. */
export type PassListener = (pass: Pass) => void | Promise<void>;

/** A tensor that is copied back to the host after each run of its pass. */
export interface ReadBack {
  /** Waits for the latest `submit`. @returns the values of all runs since the last `read`, concatenated */
  read(): Promise<Float32Array | Uint32Array | Int32Array>;
}

export const WEIGHT_DTYPE_CODES = { f32: 0, bf16: 1, f16: 2 } as const; // as kernels/shared/readWeight.wgsl names them

/**
 * A list of kernel calls that runs on the GPU as one submit. It is recorded once and compiled and bound at the first `submit`;
 * later submits only encode it again. The pass owns its intermediates, which share memory through scopes.
 */
export class Pass {
  readonly gpu: Gpu;
  readonly label: string;
  readonly #listener: TapListener | undefined;
  readonly #steps: (Call | Copy)[] = [];
  readonly #taps: { readonly name: string; readonly copy: Tensor }[] = [];
  readonly #owned: Tensor[] = [];
  readonly #staging: GPUBuffer[] = [];
  readonly #free = new Map<number, Tensor[]>();
  #scope: Tensor[] = [];
  #prepared: readonly PreparedStep[] | null = null;
  #params: GPUBuffer | null = null;

  constructor(gpu: Gpu, label: string, listener?: TapListener) {
    this.gpu = gpu;
    this.label = label;
    this.#listener = listener;
  }

  /** Allocates an intermediate. It may reuse the memory of an ended scope: its contents are undefined. */
  allocate(dtype: 'f32' | 'u32' | 'i32', shape: readonly number[], name: string): Tensor {
    const spare = this.#free.get(sizeBytes({ dtype, shape }))?.pop();
    const tensor = spare ? { ...spare, dtype, shape, name } : zeros(this.gpu, dtype, shape, name);
    if (!spare) this.#owned.push(tensor);
    this.#scope.push(tensor);
    return tensor;
  }

  /** Runs `body`. Afterwards the memory of its intermediates is reused, except that of the one it returns. */
  scope<T extends Tensor | undefined>(body: () => T): T {
    const outer = this.#scope;
    this.#scope = [];
    const kept = body();
    for (const tensor of this.#scope) {
      if (kept !== undefined && tensor.pieces[0].buffer === kept.pieces[0].buffer) outer.push(tensor);
      else {
        const bytes = sizeBytes(tensor);
        this.#free.set(bytes, [...(this.#free.get(bytes) ?? []), tensor]);
      }
    }
    this.#scope = outer;
    return kept;
  }

  /** Whether there is a tap listener. Without one, work that only taps need can be left out. */
  get isTapped(): boolean {
    return this.#listener !== undefined;
  }

  /** Gives the listener a copy of the tensor as it is at this point. Costs nothing without a listener. */
  tap(name: string, tensor: Tensor): void {
    if (this.#listener === undefined) return;
    const copy = zeros(this.gpu, tensor.dtype, tensor.shape, name);
    this.#owned.push(copy);
    this.#taps.push({ name, copy });
    this.copy(tensor, copy);
  }

  /** Like `tap`, for a stage that is computed on the host. */
  tapArray(name: string, data: () => HostArray, shape: readonly number[]): void {
    if (this.#listener === undefined) return;
    const tensor = upload(this.gpu, data(), shape, name);
    this.#owned.push(tensor);
    this.#taps.push({ name, copy: tensor });
  }

  /** Copies all of `from` over `to`. */
  copy(from: Tensor, to: Tensor): void {
    const bytes = Math.max(4, sizeBytes(from));
    this.#steps.push({ kind: 'copy', from: from.pieces[0].buffer, to: to.pieces[0].buffer, bytes });
  }

  /** Copies `tensor` back to the host in each run, with room for `maxRuns` runs between two reads. */
  readBack(tensor: Tensor, maxRuns = 1): ReadBack {
    const bytes = sizeBytes(tensor);
    const staging = this.gpu.createBuffer(bytes * maxRuns, 0x01 | 0x08, `${tensor.name} read-back`); // MAP_READ | COPY_DST
    this.#staging.push(staging);
    const runs = { count: 0 };
    this.#steps.push({ kind: 'copy', from: tensor.pieces[0].buffer, to: staging, bytes, runs });
    const wait = new LearnedWait();
    return {
      read: async () => {
        const { count } = runs;
        runs.count = 0;
        const mapped = await wait.sleepFirst(count, () => readMapped(this.gpu, staging, bytes * count));
        return viewAs(tensor.dtype, mapped);
      },
    };
  }

  /**
   * Records one kernel call: one dispatch, or one for each piece of its weights. Kernels call this.
   *
   * @throws KernelError KERNEL_BINDING if two weights are split, or a written buffer is bound twice
   */
  dispatch(declaration: KernelDeclaration, tensors: Readonly<Record<string, Tensor>>, sizes: Symbols): void {
    const bindings = Object.entries(declaration.bindings);
    const split = bindings.find(([name]) => tensors[name].pieces.length > 1)?.[0];
    const constants: Record<string, number> = { ...declaration.constants };
    if (declaration.usesSubgroups) constants.SUBGROUP_SIZE = this.gpu.info.subgroupMinSize;
    for (const [name, { access }] of bindings) {
      if (access === 'weights')
        constants[dtypeOverride(name)] = WEIGHT_DTYPE_CODES[tensors[name].dtype as 'f32'];
      if (name !== split && tensors[name].pieces.length > 1) {
        throw bindingError(
          declaration.name,
          name,
          `${name} and ${split} are both split into pieces`,
          'only one weight of a call may be larger than a binding',
        );
      }
    }
    const pieceCount = split === undefined ? 1 : tensors[split].pieces.length;
    for (let index = 0; index < pieceCount; index++) {
      const pieceSizes: Record<string, number> = { ...sizes };
      const buffers = bindings.map(([name, { access }]) => {
        const piece = tensors[name].pieces[name === split ? index : 0];
        if (access === 'weights') {
          pieceSizes[`${name}FirstRow`] = piece.firstRow;
          pieceSizes[`${name}Rows`] = piece.rows;
        }
        return piece.buffer;
      });
      checkAliasing(declaration, buffers);
      this.#steps.push({ kind: 'call', declaration, constants, buffers, sizes: pieceSizes });
    }
  }

  /**
   * Runs the list: compiles and binds it at the first call, and from then on only encodes it. Resolves when the work is queued
   * or, if there is a tap listener, when all taps have been delivered.
   *
   * @throws KernelError KERNEL_INTERFACE, KERNEL_FEATURE, KERNEL_COMPILE, KERNEL_LIMIT; GpuError as `Gpu.assertHealthy`
   */
  async submit(): Promise<void> {
    this.#encode(await this.prepared());
    await this.#showTaps();
  }

  /**
   * Runs the list once, in several submits that are each waited for. An abort takes effect at the next of them, and none is so
   * long that a driver's watchdog resets the device.
   *
   * @throws the signal's reason; errors as `submit`
   */
  async run(signal?: AbortSignal): Promise<void> {
    const prepared = await this.prepared();
    const works = prepared.map(stepWork);
    const { workPace } = this.gpu;
    for (let begin = 0; begin < prepared.length; ) {
      signal?.throwIfAborted();
      const end = workPace.groupEnd(works, begin);
      const group = prepared.slice(begin, end);
      const work = works.slice(begin, end).reduce((sum, of) => sum + of);
      await workPace.run(
        work,
        () => this.#encode(group),
        () => this.gpu.idle(),
      );
      begin = end;
    }
    await this.#showTaps();
  }

  /** The list, compiled and bound. @throws KernelError, GpuError as `submit` */
  async prepared(): Promise<readonly PreparedStep[]> {
    this.#prepared ??= await this.#prepare();
    return this.#prepared;
  }

  /** Frees everything that the pass allocated. */
  async destroy(): Promise<void> {
    const buffers = [...this.#staging, ...(this.#params ? [this.#params] : [])];
    this.#steps.length = 0;
    this.#prepared = null;
    for (const buffer of buffers) buffer.destroy();
    await freeTensors(this.gpu, this.#owned.splice(0));
  }

  async #showTaps(): Promise<void> {
    if (this.#listener === undefined) return;
    for (const { name, copy } of this.#taps) await this.#listener(name, copy);
  }

  #encode(steps: readonly PreparedStep[]): void {
    this.gpu.submit([encodeSteps(this.gpu, this.label, steps)]);
  }

  async #prepare(): Promise<PreparedStep[]> {
    const blocks = new ParamsBlocks();
    const compiled = await Promise.all(
      this.#steps.map(async (step) => {
        if (step.kind === 'copy') return step;
        const kernel = await compileKernel(this.gpu, step.declaration, step.constants);
        const offset = blocks.add(packParams(step.declaration.name, kernel.wgsl, step.sizes));
        return { step, kernel, offset };
      }),
    );
    const params = this.gpu.createBuffer(blocks.sizeBytes, 0x40 | 0x08, `${this.label} params`); // UNIFORM | COPY_DST
    this.#params = params;
    this.gpu.device.queue.writeBuffer(params, 0, blocks.bytes());
    return compiled.map((entry) =>
      'kernel' in entry ? this.#bind(entry.step, entry.kernel, params, entry.offset) : entry,
    );
  }

  #bind(
    step: Call,
    { pipeline, layout, wgsl }: CompiledKernel,
    params: GPUBuffer,
    offset: number,
  ): PreparedDispatch {
    const entries: GPUBindGroupEntry[] = step.buffers.map((buffer, binding) => ({
      binding,
      resource: { buffer },
    }));
    if (wgsl.params.length > 0) {
      const size = wgsl.params.length * 4;
      entries.push({ binding: entries.length, resource: { buffer: params, offset, size } });
    }
    this.gpu.counters.bindGroups++;
    const bindGroup = this.gpu.device.createBindGroup({ label: step.declaration.name, layout, entries });
    const groups = foldGroups(step.declaration.dispatch(step.sizes, { ...wgsl.consts, ...step.constants }));
    return { kind: 'dispatch', call: step, pipeline, bindGroup, groups };
  }
}
