/**
 * Uploads a checkpoint's tensors as stored: bf16 and f16 stay two bytes. They are read in chunks of about 4 MiB, so host memory
 * does not grow with the file. Matrices that are used together are joined here: q, k and v stacked, gate and up with alternating
 * rows. Matrices of linear layers are packed into panels if the kernels need that layout.
 */
import { CheckpointError } from '../../errors.ts';
import type { Gpu } from '../../gpu/device.ts';
import { PANEL_ROWS, packPanels, paddedRows } from '../../gpu/panels.ts';
import {
  freeTensors,
  type Layout,
  rowBytes,
  sizeBytes,
  type Tensor,
  weightTensor,
  writePiece,
  zeros,
} from '../../gpu/tensor.ts';
import { type Checkpoint, PIECE_BYTES } from '../checkpoint/checkpoint.ts';
import type { LinearWeights } from '../graph/linear.ts';

export interface LoadProgress {
  readonly loadedBytes: number;
  readonly totalBytes: number;
  /** The tensor just loaded. */
  readonly tensor: string;
}

/** Fills `target` with the bytes of the (joined) tensor from `byteOffset` on. */
type ByteReader = (byteOffset: number, target: Uint8Array) => Promise<void>;

const FLUSH_BYTES = 64 * 2 ** 20; // Dawn keeps a copy of written bytes until a submit, so submit now and then

export class WeightLoader {
  readonly tensors: Tensor[] = [];
  readonly gpu: Gpu;
  readonly linearLayout: Layout;
  readonly #checkpoint: Checkpoint;
  readonly #onProgress: (progress: LoadProgress) => void;
  readonly #totalBytes: number;
  readonly #zeroBiases = new Map<number, Tensor>();
  // One chunk as stored, in panels, and every other row of it.
  #staging = new Uint8Array(PIECE_BYTES);
  #packed = new Uint8Array(PIECE_BYTES);
  #half = new Uint8Array(PIECE_BYTES / 2);
  #loadedBytes = 0;
  #unflushedBytes = 0;

  constructor(
    gpu: Gpu,
    checkpoint: Checkpoint,
    linearLayout: Layout,
    onProgress: (progress: LoadProgress) => void,
  ) {
    this.gpu = gpu;
    this.linearLayout = linearLayout;
    this.#checkpoint = checkpoint;
    this.#onProgress = onProgress;
    this.#totalBytes = [...checkpoint.entries.values()].reduce((sum, entry) => sum + entry.sizeBytes, 0);
  }

  /** Uploads one tensor as stored. @param shape another shape for it, e.g. to see a convolution as a matrix */
  tensor(name: string, shape = this.#checkpoint.entry(name).shape, layout: Layout = 'rows'): Promise<Tensor> {
    const { dtype } = this.#checkpoint.entry(name);
    const read: ByteReader = (offset, target) => this.#checkpoint.readInto(name, offset, target);
    return this.#upload(name, dtype, shape, layout, read);
  }

  /** Uploads the weight of a linear layer [outDim, inDim], in `linearLayout`. */
  matrix(name: string, shape = this.#checkpoint.entry(name).shape): Promise<Tensor> {
    return this.tensor(name, shape, this.linearLayout);
  }

  /** Uploads a linear layer; if it has no bias, it gets one of zeros. */
  async linear(module: string): Promise<LinearWeights> {
    const weight = await this.matrix(`${module}.weight`);
    const hasBias = this.#checkpoint.has(`${module}.bias`);
    return { weight, bias: hasBias ? await this.tensor(`${module}.bias`) : this.zeroBias(weight.shape[0]) };
  }

  /** Uploads several linear layers as one, with their rows stacked. */
  async joined(modules: readonly string[]): Promise<LinearWeights> {
    const weights = modules.map((module) => `${module}.weight`);
    const weight = await this.#below(weights, this.linearLayout);
    return {
      weight,
      bias: await this.#below(
        modules.map((module) => `${module}.bias`),
        'rows',
      ),
    };
  }

  /** Uploads gate_proj and up_proj of an MLP as one layer with alternating rows: each gate and its up are adjacent outputs. */
  async gateUp(mlp: string, hasBias: boolean): Promise<LinearWeights> {
    const weight = await this.#inTurn(`${mlp}.gate_proj.weight`, `${mlp}.up_proj.weight`, this.linearLayout);
    if (!hasBias) return { weight, bias: this.zeroBias(weight.shape[0]) };
    return { weight, bias: await this.#inTurn(`${mlp}.gate_proj.bias`, `${mlp}.up_proj.bias`) };
  }

  /** Frees a tensor that others replace. */
  async replace(old: Tensor, ...others: readonly Tensor[]): Promise<void> {
    this.tensors.splice(this.tensors.indexOf(old), 1, ...others);
    await freeTensors(this.gpu, [old]);
  }

  /** A bias of zeros [outDim] f32, shared by all layers of this width. */
  zeroBias(outDim: number): Tensor {
    const known = this.#zeroBiases.get(outDim);
    if (known) return known;
    const bias = zeros(this.gpu, 'f32', [outDim], `zero bias [${outDim}]`);
    this.#zeroBiases.set(outDim, bias);
    this.tensors.push(bias);
    return bias;
  }

  #below(names: readonly string[], layout: Layout): Promise<Tensor> {
    const entries = this.#sameDtype(names);
    const rows = entries.reduce((sum, { shape }) => sum + shape[0], 0);
    const shape = [rows, ...entries[0].shape.slice(1)];
    return this.#upload(names.join(' + '), entries[0].dtype, shape, layout, async (byteOffset, target) => {
      let begin = 0; // of the current entry within the joined tensor
      for (const { name, sizeBytes } of entries) {
        const from = Math.max(byteOffset, begin);
        const to = Math.min(byteOffset + target.byteLength, begin + sizeBytes);
        if (from < to) {
          await this.#checkpoint.readInto(
            name,
            from - begin,
            target.subarray(from - byteOffset, to - byteOffset),
          );
        }
        begin += sizeBytes;
      }
    });
  }

  #inTurn(even: string, odd: string, layout: Layout = 'rows'): Promise<Tensor> {
    const [{ dtype, shape }] = this.#sameDtype([even, odd]);
    const bytesPerRow = rowBytes({ dtype, shape });
    const joined = [2 * shape[0], ...shape.slice(1)];
    return this.#upload(`${even} | ${odd}`, dtype, joined, layout, async (byteOffset, target) => {
      // #upload only asks for whole pairs of rows.
      const half = this.#half.subarray(0, target.byteLength / 2);
      for (const [parity, name] of [even, odd].entries()) {
        await this.#checkpoint.readInto(name, byteOffset / 2, half);
        for (let from = 0; from < half.byteLength; from += bytesPerRow) {
          target.set(half.subarray(from, from + bytesPerRow), 2 * from + parity * bytesPerRow);
        }
      }
    });
  }

  async #upload(
    name: string,
    dtype: 'f32' | 'bf16' | 'f16',
    shape: readonly number[],
    layout: Layout,
    readBytes: ByteReader,
  ): Promise<Tensor> {
    const tensor = weightTensor(this.gpu, dtype, shape, name, layout);
    this.tensors.push(tensor);
    const bytesPerRow = rowBytes(tensor);
    const stepBytes = PANEL_ROWS * bytesPerRow; // whole panels, and whole pairs of rows
    const chunkBytes = Math.max(1, Math.floor(PIECE_BYTES / stepBytes)) * stepBytes;
    if (chunkBytes > this.#staging.byteLength) this.#makeRoom(chunkBytes);
    for (const piece of tensor.pieces) {
      const pieceBytes = piece.rows * bytesPerRow;
      for (let offset = 0; offset < pieceBytes; offset += chunkBytes) {
        const chunk = this.#staging.subarray(0, Math.min(chunkBytes, pieceBytes - offset));
        await readBytes(piece.firstRow * bytesPerRow + offset, chunk);
        const stored = layout === 'panels' ? this.#pack(chunk, shape[1], dtype) : chunk;
        writePiece(this.gpu, piece, offset, stored);
        await this.#flush(stored.byteLength);
      }
    }
    this.#loadedBytes += sizeBytes(tensor);
    this.#onProgress({ loadedBytes: this.#loadedBytes, totalBytes: this.#totalBytes, tensor: name });
    return tensor;
  }

  /** Enlarges the chunk for rows so long that eight of them exceed it. */
  #makeRoom(bytes: number): void {
    this.#staging = new Uint8Array(bytes);
    this.#packed = new Uint8Array(bytes);
    this.#half = new Uint8Array(bytes / 2);
  }

  /** Packs whole rows into panels of eight; see `packPanels`. */
  #pack(rows: Uint8Array, inDim: number, dtype: 'f32' | 'bf16' | 'f16'): Uint8Array {
    const bytesPerRow = rowBytes({ dtype, shape: [1, inDim] });
    const packed = this.#packed.subarray(0, paddedRows(rows.byteLength / bytesPerRow) * bytesPerRow);
    if (dtype === 'f32') packPanels(viewAs(rows, Float32Array), inDim, viewAs(packed, Float32Array));
    else packPanels(viewAs(rows, Uint16Array), inDim, viewAs(packed, Uint16Array));
    return packed;
  }

  async #flush(bytes: number): Promise<void> {
    this.#unflushedBytes += bytes;
    if (this.#unflushedBytes < FLUSH_BYTES) return;
    this.#unflushedBytes = 0;
    this.gpu.submit([]);
    await this.gpu.idle();
  }

  #sameDtype(names: readonly string[]) {
    const entries = names.map((name) => this.#checkpoint.entry(name));
    const other = entries.find(({ dtype }) => dtype !== entries[0].dtype);
    if (other === undefined) return entries;
    throw new CheckpointError(
      'CKPT_DTYPE_UNSUPPORTED',
      `${other.file}: tensor ${other.name} is ${other.dtype}, but ${names[0]}, with which it is joined at load, is ${entries[0].dtype}`,
      { file: other.file, tensor: other.name, hint: 'store both in the same dtype' },
    );
  }
}

function viewAs<T extends Float32Array | Uint16Array>(
  { buffer, byteOffset, byteLength }: Uint8Array,
  Values: { new (buffer: ArrayBufferLike, byteOffset: number, length: number): T; BYTES_PER_ELEMENT: number },
): T {
  return new Values(buffer, byteOffset, byteLength / Values.BYTES_PER_ELEMENT);
}
