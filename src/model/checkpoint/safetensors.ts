/**
 * The header of a safetensors file: its length in 8 bytes (little-endian), then JSON with the byte range of each tensor. It is
 * untrusted, and a wrong offset would silently give wrong weights. So it is accepted only if it describes every byte of the
 * file exactly once.
 */
// @ts-expect-error: the package ships no types
import * as safetensorsPackage from 'safetensors';
import { CheckpointError, type ErrorCode, type ErrorDetails } from '../../errors.ts';
import type { WeightDtype } from '../../gpu/weightFormats.ts';
import { isJsonObject, parseJson, scanJson, shown, shownName } from '../../json.ts';
import type { ByteSource } from './byteSource.ts';

/** Bytes per weight. */
export const WEIGHT_BYTES: Readonly<Record<WeightDtype, number>> = { f32: 4, bf16: 2, f16: 2 };

/** A tensor's entry in the header. */
export interface TensorEntry {
  readonly name: string;
  /** As stored: `F32`, `BF16`, `F16`, `I64`, … */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Absolute byte offsets in the file, `end` exclusive. */
  readonly begin: number;
  readonly end: number;
}

const LENGTH_BYTES = 8;
const MAX_HEADER_BYTES = 100_000_000; // as in the Rust library

// Every dtype of the format, and its width in bits.
const DTYPE_BITS = new Map<string, number>([
  ['F4', 4],
  ...['F6_E2M3', 'F6_E3M2'].map((dtype) => [dtype, 6] as const),
  ...['BOOL', 'U8', 'I8', 'F8_E4M3', 'F8_E5M2', 'F8_E8M0', 'F8_E4M3FNUZ', 'F8_E5M2FNUZ'].map(
    (dtype) => [dtype, 8] as const,
  ),
  ...['U16', 'I16', 'F16', 'BF16'].map((dtype) => [dtype, 16] as const),
  ...['U32', 'I32', 'F32'].map((dtype) => [dtype, 32] as const),
  ...['U64', 'I64', 'F64', 'C64'].map((dtype) => [dtype, 64] as const),
]);

/**
 * Reads and validates the header. Its length is checked before anything is allocated. The tensors must fill the rest of the
 * file one after the other, without holes or overlaps.
 *
 * @returns the tensors by name, in file order
 * @throws CheckpointError ST_TOO_SHORT, ST_HEADER_TOO_LARGE (over 100 MB), ST_HEADER_PAST_END, ST_HEADER_INVALID,
 *   ST_METADATA_INVALID, ST_DTYPE_UNKNOWN, ST_SHAPE_INVALID, ST_OVERFLOW, ST_SHAPE_MISMATCH, ST_OFFSET_INVALID,
 *   ST_OFFSET_PAST_END, ST_OVERLAP, ST_HOLE, ST_NOT_COVERED (also for a duplicate name), or what `source` throws
 *
 * Follows: safetensors 0.8 (Rust), SafeTensors::read_metadata and Metadata::validate
 */
export async function readSafetensorsHeader(source: ByteSource): Promise<Map<string, TensorEntry>> {
  const headerBytes = await readHeaderBytes(source);
  const header = parseHeader(headerBytes, source.name);
  const dataBegin = LENGTH_BYTES + headerBytes.byteLength;
  const entries = [...header]
    .filter(([name]) => name !== '__metadata__')
    .map(([name, value]) => parseEntry(name, value, dataBegin, source.name))
    .sort((a, b) => a.begin - b.begin || a.end - b.end);
  assertCovered(entries, dataBegin, source);
  assertPackageAgrees(entries, dataBegin, source.name);
  return new Map(entries.map((entry) => [entry.name, entry]));
}

async function readHeaderBytes(source: ByteSource): Promise<Uint8Array> {
  const file = source.name;
  if (source.sizeBytes < LENGTH_BYTES) {
    throw headerError(
      'ST_TOO_SHORT',
      file,
      `has ${source.sizeBytes} bytes, but a safetensors file starts with ${LENGTH_BYTES}`,
    );
  }
  const lengthBytes = new Uint8Array(LENGTH_BYTES);
  await source.readInto(0, lengthBytes);
  const length = new DataView(lengthBytes.buffer).getBigUint64(0, true); // a BigInt: it may exceed 2^53
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw headerError(
      'ST_HEADER_TOO_LARGE',
      file,
      `claims a header of ${length} bytes, the limit is ${MAX_HEADER_BYTES}`,
    );
  }
  if (LENGTH_BYTES + Number(length) > source.sizeBytes) {
    throw headerError(
      'ST_HEADER_PAST_END',
      file,
      `claims a header of ${length} bytes but has ${source.sizeBytes} in all`,
    );
  }
  const headerBytes = new Uint8Array(Number(length));
  await source.readInto(LENGTH_BYTES, headerBytes);
  return headerBytes;
}

function parseHeader(headerBytes: Uint8Array, file: string): Map<string, unknown> {
  // The format requires the brace first, which also excludes a byte order mark.
  if (headerBytes[0] !== '{'.charCodeAt(0)) {
    throw headerError('ST_HEADER_INVALID', file, 'has a header that does not start with {');
  }
  let header: Map<string, unknown>;
  try {
    header = new Map(Object.entries(parseJson(headerBytes) as object));
  } catch (cause) {
    const reason = (cause as SyntaxError).message;
    throw headerError('ST_HEADER_INVALID', file, `has a header that is not JSON (${reason})`, { cause });
  }
  const metadata = header.get('__metadata__') ?? {};
  const isStringMap =
    isJsonObject(metadata) && Object.values(metadata).every((value) => typeof value === 'string');
  if (!isStringMap) {
    throw headerError('ST_METADATA_INVALID', file, 'has __metadata__ that does not map names to strings');
  }
  const { outerKeys } = scanJson(headerBytes);
  if (outerKeys !== header.size) {
    throw headerError('ST_NOT_COVERED', file, `declares ${outerKeys} tensors under ${header.size} names`);
  }
  return header;
}

function parseEntry(name: string, value: unknown, dataBegin: number, file: string): TensorEntry {
  const fail = (code: ErrorCode, what: string) => tensorError(code, file, name, what);
  if (!isJsonObject(value)) throw fail('ST_HEADER_INVALID', 'is not described by a JSON object');
  const { dtype, shape, data_offsets: offsets } = value;
  const bits = typeof dtype === 'string' ? DTYPE_BITS.get(dtype) : undefined;
  if (bits === undefined) {
    throw fail('ST_DTYPE_UNKNOWN', `has dtype ${shown(dtype)}, which is not part of the format`);
  }
  if (!Array.isArray(shape) || !shape.every(isSize)) {
    throw fail('ST_SHAPE_INVALID', `has shape ${shown(shape)}, expected non-negative integers`);
  }
  const isPair = Array.isArray(offsets) && offsets.length === 2 && offsets.every(Number.isSafeInteger);
  if (!isPair || offsets[0] < 0 || offsets[1] < offsets[0]) {
    throw fail('ST_OFFSET_INVALID', `has data_offsets ${shown(offsets)}, expected [begin, end]`);
  }
  let tensorBits = bits;
  for (const size of shape) {
    tensorBits *= size;
    if (tensorBits > Number.MAX_SAFE_INTEGER) {
      throw fail('ST_OVERFLOW', `has shape ${shown(shape)}, larger than any file`);
    }
  }
  const [begin, end] = offsets;
  if ((end - begin) * 8 !== tensorBits) {
    const byShape = `${tensorBits / 8} bytes by its shape ${shown(shape)} and dtype ${dtype}`;
    throw fail('ST_SHAPE_MISMATCH', `has ${byShape}, but ${end - begin} by its offsets`);
  }
  return { name, dtype: dtype as string, shape, begin: dataBegin + begin, end: dataBegin + end };
}

/** @param entries in file order */
function assertCovered(entries: readonly TensorEntry[], dataBegin: number, source: ByteSource): void {
  let covered = dataBegin;
  for (const { name, begin, end } of entries) {
    const fail = (code: ErrorCode, what: string) => tensorError(code, source.name, name, what);
    if (end > source.sizeBytes) {
      throw fail('ST_OFFSET_PAST_END', `ends at byte ${end}, the file has ${source.sizeBytes}`);
    }
    if (begin < covered) {
      throw fail('ST_OVERLAP', `begins at byte ${begin}, inside the tensor that ends at ${covered}`);
    }
    if (begin > covered) {
      throw fail('ST_HOLE', `begins at byte ${begin}, but the bytes from ${covered} on belong to no tensor`);
    }
    covered = end;
  }
  if (covered === source.sizeBytes) return;
  throw headerError(
    'ST_NOT_COVERED',
    source.name,
    `has ${source.sizeBytes} bytes, but its tensors end at byte ${covered}`,
  );
}

/**
 * Cross-checks with the npm package, which validates nothing itself: given a clean header (without `__metadata__`, at byte 0 of
 * its buffer) it must find the same tensors.
 */
function assertPackageAgrees(entries: readonly TensorEntry[], dataBegin: number, file: string): void {
  const clean = entries.map(({ name, dtype, shape, begin, end }) => [
    name,
    { dtype, shape, data_offsets: [begin - dataBegin, end - dataBegin] },
  ]);
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(clean)));
  const bytes = new Uint8Array(LENGTH_BYTES + json.byteLength);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.byteLength), true);
  bytes.set(json, LENGTH_BYTES);
  // In Node the package is CommonJS, whose exports appear as `default`; bundlers see the named export. The copy is for webpack,
  // which refuses to build code that reads an export missing from the namespace itself.
  const exported = { ...safetensorsPackage };
  const { SafeTensor } = exported.default ?? exported;
  const { metadata } = new SafeTensor(bytes); // tensors by name, with offsets into `bytes`
  const agrees = entries.every(({ name, dtype, begin, end }) => {
    const theirs = metadata.get(name);
    const [theirBegin, theirEnd] = theirs?.data_offsets ?? [];
    const shift = dataBegin - bytes.byteLength;
    return theirs?.dtype === dtype && theirBegin + shift === begin && theirEnd + shift === end;
  });
  if (agrees && metadata.size === entries.length) return;
  throw headerError('ST_HEADER_INVALID', file, 'has a header that two readers understand differently');
}

function headerError(
  code: ErrorCode,
  file: string,
  what: string,
  details: ErrorDetails = {},
): CheckpointError {
  return new CheckpointError(code, `${file} ${what}`, { file, hint: 'download the file again', ...details });
}

function tensorError(code: ErrorCode, file: string, tensor: string, what: string): CheckpointError {
  return new CheckpointError(code, `${file}: tensor ${shownName(tensor)} ${what}`, {
    file,
    tensor,
    hint: 'download the file again',
  });
}

function isSize(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0;
}
