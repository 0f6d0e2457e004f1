import { GpuError, InputError } from '../errors.ts';
import type { Gpu } from './device.ts';
import { PANEL_ROWS, packedPanels, paddedRows } from './panels.ts';

/** Storage format of a tensor's values. Only weights are bf16 or f16; kernels compute in f32. */
export type Dtype = 'f32' | 'u32' | 'i32' | 'bf16' | 'f16';

/** 'rows': row-major. 'panels': eight rows interleaved, see panels.ts. */
export type Layout = 'rows' | 'panels';

export type HostArray = Float32Array | Uint32Array | Int32Array | Uint16Array;

const DTYPE_BYTES: Readonly<Record<Dtype, number>> = { f32: 4, u32: 4, i32: 4, bf16: 2, f16: 2 };

/** Rows [firstRow, firstRow + rows) of a tensor, in a buffer of their own that starts with them. */
export interface Piece {
  readonly buffer: GPUBuffer;
  readonly firstRow: number;
  readonly rows: number;
}

/** An array on the GPU. Weights too large for one binding are split by rows into several pieces. */
export interface Tensor {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly layout: Layout;
  readonly pieces: readonly Piece[];
}

const TENSOR_USAGE = 0x80 | 0x04 | 0x08; // STORAGE | COPY_SRC | COPY_DST

export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

export function sizeBytes(tensor: Pick<Tensor, 'dtype' | 'shape'>): number {
  return elementCount(tensor.shape) * DTYPE_BYTES[tensor.dtype];
}

/** Bytes of one row: everything after the first axis. */
export function rowBytes(tensor: Pick<Tensor, 'dtype' | 'shape'>): number {
  return elementCount(tensor.shape.slice(1)) * DTYPE_BYTES[tensor.dtype];
}

/** Creates a tensor of zeros in one buffer. @throws GpuError GPU_LIMIT if it is larger than one binding */
export function zeros(gpu: Gpu, dtype: Dtype, shape: readonly number[], name: string): Tensor {
  const bytes = sizeBytes({ dtype, shape });
  if (bytes > gpu.device.limits.maxStorageBufferBindingSize) {
    throw new GpuError(
      'GPU_LIMIT',
      `${name} [${shape}] takes ${bytes} bytes, this adapter binds ${gpu.device.limits.maxStorageBufferBindingSize} at most`,
      { tensor: name, hint: 'use a smaller picture (maxPixels) or a shorter context' },
    );
  }
  const buffer = gpu.createBuffer(bytes, TENSOR_USAGE, name);
  return { name, dtype, shape, layout: 'rows', pieces: [{ buffer, firstRow: 0, rows: shape[0] ?? 1 }] };
}

/** Rows in each piece of a weight tensor: all if they fit one binding, 0 if not even two (or one panel) do. */
export function rowsThatBind(
  tensor: Pick<Tensor, 'dtype' | 'shape'>,
  maxBindingBytes: number,
  layout: Layout = 'rows',
): number {
  const rows = tensor.shape[0] ?? 1;
  const rowsThatFit = Math.floor(maxBindingBytes / Math.max(1, rowBytes(tensor)));
  // Whole panels, or an even number of rows: then a piece of 16-bit rows of odd length starts on a whole word.
  const step = layout === 'panels' ? PANEL_ROWS : 2;
  return rowsThatFit >= (layout === 'panels' ? paddedRows(rows) : rows)
    ? rows
    : rowsThatFit - (rowsThatFit % step);
}

/** Creates a weight tensor, split by rows if it is larger than one binding. @throws GpuError GPU_LIMIT if a row is too long */
export function weightTensor(
  gpu: Gpu,
  dtype: Dtype,
  shape: readonly number[],
  name: string,
  layout: Layout = 'rows',
): Tensor {
  const bytesPerRow = rowBytes({ dtype, shape });
  const rows = shape[0] ?? 1;
  const rowsPerPiece = rowsThatBind({ dtype, shape }, gpu.maxBindingBytes, layout);
  if (rowsPerPiece < 1 && rows > 0) {
    throw new GpuError(
      'GPU_LIMIT',
      layout === 'panels'
        ? `${name}: a panel of eight rows takes ${PANEL_ROWS * bytesPerRow} bytes, this adapter binds ${gpu.maxBindingBytes} at most`
        : `${name}: one row takes ${bytesPerRow} bytes, this adapter binds ${gpu.maxBindingBytes} at most`,
      { tensor: name, hint: 'use an adapter with larger bindings' },
    );
  }
  const pieces: Piece[] = [];
  for (let firstRow = 0; firstRow < Math.max(1, rows); firstRow += rowsPerPiece) {
    const pieceRows = Math.min(rowsPerPiece, rows - firstRow);
    const storedRows = layout === 'panels' ? paddedRows(pieceRows) : pieceRows;
    const buffer = gpu.createBuffer(storedRows * bytesPerRow, TENSOR_USAGE, name);
    pieces.push({ buffer, firstRow, rows: pieceRows });
    if (rowsPerPiece < 1) break; // a tensor without rows
  }
  return { name, dtype, shape, layout, pieces };
}

/**
 * Writes bytes into a piece of a tensor, from `byteOffset` (a multiple of 4) of the piece on.
 * They are copied during the call: `bytes` may be reused at once.
 */
export function writePiece(gpu: Gpu, piece: Piece, byteOffset: number, bytes: Uint8Array): void {
  const padded = bytes.byteLength % 4 === 0 ? bytes : padToWord(bytes); // writeBuffer takes whole words only
  gpu.device.queue.writeBuffer(piece.buffer, byteOffset, padded as Uint8Array<ArrayBuffer>);
}

function padToWord(bytes: Uint8Array): Uint8Array {
  const padded = new Uint8Array(Math.ceil(bytes.byteLength / 4) * 4);
  padded.set(bytes);
  return padded;
}

/**
 * Uploads a row-major array as one tensor.
 *
 * @param dtype needed only for a Uint16Array of f16; without it those are taken as bf16
 * @param layout 'panels' also packs the matrix of weights into panels
 * @throws InputError INPUT_LENGTH if `data` and `shape` differ in their number of elements; GpuError GPU_LIMIT if it does not fit
 */
export function upload(
  gpu: Gpu,
  data: HostArray,
  shape: readonly number[],
  name: string,
  dtype = dtypeOf(data),
  layout: Layout = 'rows',
): Tensor {
  if (data.length !== elementCount(shape)) {
    throw new InputError('INPUT_LENGTH', `${name}: ${data.length} values for shape [${shape}]`, {
      tensor: name,
      hint: `give ${elementCount(shape)} values`,
    });
  }
  const isWeight = layout === 'panels' || dtype === 'bf16' || dtype === 'f16';
  const tensor = isWeight ? weightTensor(gpu, dtype, shape, name, layout) : zeros(gpu, dtype, shape, name);
  const stored = layout === 'panels' ? packedPanels(data as Float32Array | Uint16Array, shape[1]) : data; // weights are one of the two
  const bytes = new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
  const bytesPerRow = rowBytes(tensor);
  for (const piece of tensor.pieces) {
    const begin = piece.firstRow * bytesPerRow;
    const rows = layout === 'panels' ? paddedRows(piece.rows) : piece.rows;
    writePiece(gpu, piece, 0, bytes.subarray(begin, begin + rows * bytesPerRow));
  }
  return tensor;
}

function dtypeOf(data: HostArray): Dtype {
  if (data instanceof Float32Array) return 'f32';
  if (data instanceof Uint32Array) return 'u32';
  if (data instanceof Int32Array) return 'i32';
  return 'bf16';
}

/** Reads a tensor of f32, u32 or i32 in one piece back, after everything submitted before. @throws GpuError if the device fails */
export async function readTensor(gpu: Gpu, tensor: Tensor): Promise<Float32Array | Uint32Array | Int32Array> {
  const [piece] = tensor.pieces;
  const bytes = Math.max(4, sizeBytes(tensor));
  const staging = gpu.createBuffer(bytes, 0x01 | 0x08, `${tensor.name} read-back`); // MAP_READ | COPY_DST
  const encoder = gpu.device.createCommandEncoder();
  encoder.copyBufferToBuffer(piece.buffer, 0, staging, 0, bytes);
  gpu.submit([encoder.finish()]);
  const copy = await readMapped(gpu, staging, sizeBytes(tensor));
  staging.destroy();
  return viewAs(tensor.dtype, copy);
}

/** Maps a staging buffer, copies its first `bytes` bytes out, and unmaps it again. */
export async function readMapped(gpu: Gpu, staging: GPUBuffer, bytes: number): Promise<ArrayBuffer> {
  await gpu.wait(staging.mapAsync(0x01)); // GPUMapMode.READ
  const copy = staging.getMappedRange().slice(0, bytes);
  staging.unmap();
  gpu.counters.readBackBytes += bytes;
  return copy;
}

export function viewAs(dtype: Dtype, bytes: ArrayBuffer): Float32Array | Uint32Array | Int32Array {
  if (dtype === 'f32') return new Float32Array(bytes);
  if (dtype === 'i32') return new Int32Array(bytes);
  return new Uint32Array(bytes);
}

/** The same values with another shape of as many elements. Only for tensors in one piece. */
export function reshape(tensor: Tensor, shape: readonly number[]): Tensor {
  return { ...tensor, shape };
}

/** Frees the tensors' memory. */
export async function freeTensors(gpu: Gpu, tensors: Iterable<Tensor>): Promise<void> {
  await gpu.free([...tensors].flatMap((tensor) => tensor.pieces.map((piece) => piece.buffer)));
}
