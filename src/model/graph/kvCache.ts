/** What a sequence keeps on the GPU between steps: keys and values of every layer, and the positions of its tokens. */

import type { Gpu } from '../../gpu/device.ts';
import { freeTensors, type Tensor, upload, writePiece, zeros } from '../../gpu/tensor.ts';
import type { LlmConfig } from '../checkpoint/config.ts';
import type { Positions } from './positions.ts';
import { axisOfFrequency, llmRotaryTable, type RotaryTable } from './rotaryTables.ts';

/** The keys and values of one layer. */
export interface LayerCache {
  readonly k: Tensor; // [kvHeads, context, headDim] f32, rotated
  readonly v: Tensor; // [kvHeads, context, headDim] f32
}

/** The inputs with which `mRope` rotates queries and keys. */
export interface Rotary {
  readonly positionIds: Tensor; // [3, context] i32, by cache index
  readonly axis: Tensor; // [headDim / 2] u32: 0 time, 1 row, 2 column
  readonly cosTable: Tensor; // [positions, headDim / 2] f32
  readonly sinTable: Tensor; // [positions, headDim / 2] f32
  readonly firstPosition: number;
}

/** The part of a cache that attention needs. */
export interface AttendedCache {
  readonly layers: readonly LayerCache[];
  /** [1] u32: cache index of the first token of the next step. */
  readonly start: Tensor;
  readonly rotary: Rotary;
  /** An upper bound of the number of keys that the step's last token attends to. */
  readonly keys: number;
}

/** The KV cache of one sequence, allocated once for its whole context. */
export class KvCache implements AttendedCache {
  readonly gpu: Gpu;
  readonly context: number;
  readonly layers: readonly LayerCache[];
  readonly start: Tensor;
  readonly #config: LlmConfig;
  /** [headDim / 2] u32; see `Rotary`. */
  readonly #axis: Tensor;
  #positions: { readonly ids: Int32Array; readonly tensor: Tensor };
  #table: { readonly values: RotaryTable; readonly cos: Tensor; readonly sin: Tensor };

  /**
   * Allocates everything for `context` tokens.
   *
   * @param positions of the prompt; a later token at cache index p has position p + ropeDelta on all axes
   * @param layout 'swapped' is the second layout of video_rope (docs/MODEL.md, section 6)
   * @throws GpuError GPU_LIMIT, GPU_OUT_OF_MEMORY
   */
  constructor(
    gpu: Gpu,
    config: LlmConfig,
    context: number,
    positions: Positions,
    layout: 'sections' | 'swapped',
  ) {
    const { numHiddenLayers, numKeyValueHeads, headDim } = config;
    this.gpu = gpu;
    this.context = context;
    this.#config = config;
    const shape = [numKeyValueHeads, context, headDim];
    this.layers = Array.from({ length: numHiddenLayers }, (_, layer) => ({
      k: zeros(gpu, 'f32', shape, `cache.k${layer}`),
      v: zeros(gpu, 'f32', shape, `cache.v${layer}`),
    }));
    this.start = zeros(gpu, 'u32', [1], 'start');

    const ids = positionsOfContext(positions, context);
    this.#positions = { ids, tensor: upload(gpu, ids, [3, context], 'positionIds') };
    const sections = config.rope === 'none' ? [headDim / 2, 0, 0] : config.mropeSection;
    this.#axis = upload(gpu, axisOfFrequency(headDim, sections, layout), [headDim / 2], 'axis');
    this.#table = this.#makeTable(...rangeOf(ids));
  }

  /** [3, context] positions by cache index. */
  get positionIds(): Int32Array {
    return this.#positions.ids;
  }

  get table(): RotaryTable {
    return this.#table.values;
  }

  get rotary(): Rotary {
    const { values, cos, sin } = this.#table;
    return {
      positionIds: this.#positions.tensor,
      axis: this.#axis,
      cosTable: cos,
      sinTable: sin,
      firstPosition: values.firstPosition,
    };
  }

  get keys(): number {
    return this.context;
  }

  /** The cache for a step whose last token attends to `keys` keys. */
  upTo(keys: number): AttendedCache {
    const { layers, start, rotary } = this;
    return { layers, start, rotary, keys };
  }

  /**
   * Sets the positions of another prompt and keeps keys and values. It may replace the rotary tables, so passes recorded before
   * must not be submitted afterwards.
   *
   * @throws GpuError
   */
  async setPositions(positions: Positions): Promise<void> {
    const ids = positionsOfContext(positions, this.context);
    const { tensor } = this.#positions;
    writePiece(this.gpu, tensor.pieces[0], 0, new Uint8Array(ids.buffer));
    this.#positions = { ids, tensor };
    const [first, last] = rangeOf(ids);
    const { values, cos, sin } = this.#table;
    if (first >= values.firstPosition && last < values.firstPosition + cos.shape[0]) return;
    this.#table = this.#makeTable(first, last);
    await freeTensors(this.gpu, [cos, sin]);
  }

  /** Sets the cache index at which the next pass begins. */
  setStart(index: number): void {
    writePiece(this.gpu, this.start.pieces[0], 0, new Uint8Array(Uint32Array.of(index).buffer));
  }

  async destroy(): Promise<void> {
    const { firstPosition: _, ...rotary } = this.rotary;
    const caches = this.layers.flatMap(({ k, v }) => [k, v]);
    await freeTensors(this.gpu, [...caches, this.start, ...Object.values(rotary)]);
  }

  /** @param last inclusive */
  #makeTable(first: number, last: number) {
    const { headDim, ropeTheta } = this.#config;
    const values = llmRotaryTable(first, last, headDim, ropeTheta);
    const shape = [last - first + 1, headDim / 2];
    const cos = upload(this.gpu, values.cos, shape, 'cosTable');
    return { values, cos, sin: upload(this.gpu, values.sin, shape, 'sinTable') };
  }
}

/** The prompt's positions, then p + ropeDelta for every later cache index. */
function positionsOfContext({ positionIds, ropeDelta }: Positions, context: number): Int32Array {
  const tokens = positionIds.length / 3;
  const all = new Int32Array(3 * context);
  for (let axis = 0; axis < 3; axis++) {
    all.set(positionIds.subarray(axis * tokens, (axis + 1) * tokens), axis * context);
    for (let index = tokens; index < context; index++) all[axis * context + index] = index + ropeDelta;
  }
  return all;
}

function rangeOf(values: Int32Array): [number, number] {
  let smallest = values[0];
  let largest = values[0];
  for (const value of values) {
    smallest = Math.min(smallest, value);
    largest = Math.max(largest, value);
  }
  return [smallest, largest];
}
