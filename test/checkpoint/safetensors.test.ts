import { expect, test } from 'vitest';
import type { ErrorCode } from '../../src/errors.ts';
import { memorySource } from '../../src/model/checkpoint/byteSource.ts';
import { readSafetensorsHeader } from '../../src/model/checkpoint/safetensors.ts';
import { expectCode, safetensorsFile, utf8 } from './helpers.ts';

const read = (bytes: Uint8Array) => readSafetensorsHeader(memorySource('model.safetensors', bytes));
const f32 = (shape: unknown, begin: unknown, end: unknown) => ({
  dtype: 'F32',
  shape,
  data_offsets: [begin, end],
});

test('a valid file gives absolute offsets in file order', async () => {
  const header = { b: f32([2, 1], 4, 12), __metadata__: { format: 'pt' }, a: f32([], 0, 4) };
  const bytes = safetensorsFile(header, 12);
  const dataBegin = bytes.byteLength - 12;
  expect([...(await read(bytes)).values()]).toEqual([
    { name: 'a', dtype: 'F32', shape: [], begin: dataBegin, end: dataBegin + 4 },
    { name: 'b', dtype: 'F32', shape: [2, 1], begin: dataBegin + 4, end: dataBegin + 12 },
  ]);
});

function withLength(length: bigint, restBytes = 100): Uint8Array {
  const bytes = new Uint8Array(8 + restBytes);
  new DataView(bytes.buffer).setBigUint64(0, length, true);
  return bytes;
}

const invalidUtf8 = new Uint8Array([...utf8('{"a'), 0xff, ...utf8('":1}')]);
const rawHeader = (json: Uint8Array) =>
  new Uint8Array([...new Uint8Array(safetensorsFile('x'.repeat(json.length))).slice(0, 8), ...json]);
const one = (entry: object | null | string, dataBytes = 4) => safetensorsFile({ a: entry }, dataBytes);
const two = (a: object, b: object, dataBytes: number) => safetensorsFile({ a, b }, dataBytes);

const refused: [row: string, code: ErrorCode, bytes: Uint8Array][] = [
  ['S1 empty file', 'ST_TOO_SHORT', new Uint8Array(0)],
  ['S1 seven bytes', 'ST_TOO_SHORT', new Uint8Array(7)],
  ['S2 header length 0', 'ST_HEADER_INVALID', withLength(0n)],
  ['S3 header length 2^63', 'ST_HEADER_TOO_LARGE', withLength(2n ** 63n)],
  ['S3 header length 2^64 - 1', 'ST_HEADER_TOO_LARGE', withLength(2n ** 64n - 1n)],
  ['S4 header length over 100 MB', 'ST_HEADER_TOO_LARGE', withLength(100_000_001n)],
  ['S4 header length over the file', 'ST_HEADER_PAST_END', withLength(101n)],
  ['S4 header length 100 MB, file short', 'ST_HEADER_PAST_END', withLength(100_000_000n)],
  ['S5 not UTF-8', 'ST_HEADER_INVALID', rawHeader(invalidUtf8)],
  ['S5 not JSON', 'ST_HEADER_INVALID', safetensorsFile('{"a":')],
  ['S5 array', 'ST_HEADER_INVALID', safetensorsFile('[]')],
  ['S5 number', 'ST_HEADER_INVALID', safetensorsFile('12')],
  ['S5 starts with a space', 'ST_HEADER_INVALID', safetensorsFile(' {}')],
  ['S5 starts with a byte order mark', 'ST_HEADER_INVALID', safetensorsFile('\ufeff{}')],
  [
    'S6 arrays nested 100,000 deep',
    'ST_HEADER_INVALID',
    safetensorsFile(`{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`),
  ],
  [
    'S6 objects nested 100,000 deep',
    'ST_HEADER_INVALID',
    safetensorsFile(`${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`),
  ],
  ['S7 __metadata__ with a number', 'ST_METADATA_INVALID', safetensorsFile({ __metadata__: { format: 1 } })],
  ['S7 __metadata__ is an array', 'ST_METADATA_INVALID', safetensorsFile({ __metadata__: ['pt'] })],
  ['S7 __metadata__ is a string', 'ST_METADATA_INVALID', safetensorsFile({ __metadata__: 'pt' })],
  [
    'S8 a tensor name twice, the last one complete',
    'ST_NOT_COVERED',
    safetensorsFile(
      '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
      8,
    ),
  ],
  [
    'S8 a tensor name twice, one spelled with an escape',
    'ST_NOT_COVERED',
    safetensorsFile(
      '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\\u0061":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
      8,
    ),
  ],
  ['S10 negative offset', 'ST_OFFSET_INVALID', one(f32([1], -4, 0))],
  ['S10 fractional offset', 'ST_OFFSET_INVALID', one(f32([1], 0.5, 4.5))],
  ['S10 offsets as strings', 'ST_OFFSET_INVALID', one(f32([1], '0', '4'))],
  ['S10 offset 1e21', 'ST_OFFSET_INVALID', one(f32([1], 0, 1e21))],
  ['S10 end before begin', 'ST_OFFSET_INVALID', one(f32([1], 4, 0))],
  ['S10 three offsets', 'ST_OFFSET_INVALID', one({ dtype: 'F32', shape: [1], data_offsets: [0, 4, 4] })],
  ['S10 no offsets', 'ST_OFFSET_INVALID', one({ dtype: 'F32', shape: [1] })],
  ['S11 tensor ends past the file', 'ST_OFFSET_PAST_END', one(f32([2], 0, 8))],
  ['S11 tensor begins past the file', 'ST_OFFSET_PAST_END', one(f32([1], 2 ** 40, 2 ** 40 + 4))],
  ['S12 overlap', 'ST_OVERLAP', two(f32([1], 0, 4), f32([1], 2, 6), 6)],
  ['S12 the same bytes twice', 'ST_OVERLAP', two(f32([1], 0, 4), f32([1], 0, 4), 4)],
  ['S12 hole between tensors', 'ST_HOLE', two(f32([1], 0, 4), f32([1], 8, 12), 12)],
  ['S12 hole before the first', 'ST_HOLE', one(f32([1], 4, 8), 8)],
  ['S12 trailing bytes', 'ST_NOT_COVERED', one(f32([1], 0, 4), 5)],
  ['S12 no tensors, but bytes', 'ST_NOT_COVERED', safetensorsFile({}, 1)],
  ['S13 shape and offsets differ', 'ST_SHAPE_MISMATCH', one(f32([2], 0, 4))],
  ['S13 half a byte', 'ST_SHAPE_MISMATCH', one({ dtype: 'F4', shape: [3], data_offsets: [0, 1] }, 1)],
  ['S13 product over 2^53', 'ST_OVERFLOW', one(f32([2 ** 40, 2 ** 40], 0, 4))],
  ['S13 one size over 2^53', 'ST_OVERFLOW', one(f32([1e300], 0, 4))],
  ['S14 shape with -1', 'ST_SHAPE_INVALID', one(f32([-1], 0, 4))],
  ['S14 shape with 1.5', 'ST_SHAPE_INVALID', one(f32([1.5], 0, 4))],
  ['S14 shape with null', 'ST_SHAPE_INVALID', one(f32([null], 0, 4))],
  ['S14 shape is a number', 'ST_SHAPE_INVALID', one(f32(1, 0, 4))],
  ['S14 no shape', 'ST_SHAPE_INVALID', one({ dtype: 'F32', data_offsets: [0, 4] })],
  ['S15 unknown dtype', 'ST_DTYPE_UNKNOWN', one({ dtype: 'Q9', shape: [1], data_offsets: [0, 4] })],
  [
    'S15 dtype that is a property of every object',
    'ST_DTYPE_UNKNOWN',
    one({ dtype: 'toString', shape: [1], data_offsets: [0, 4] }),
  ],
  ['S15 dtype is a number', 'ST_DTYPE_UNKNOWN', one({ dtype: 32, shape: [1], data_offsets: [0, 4] })],
  ['an entry that is null', 'ST_HEADER_INVALID', one(null)],
  ['an entry that is a string', 'ST_HEADER_INVALID', one('F32')],
];

test.for(refused)('%s: %s', { timeout: 5000 }, async ([, code, bytes]) => {
  const error = await expectCode(code, () => read(bytes));
  expect(error.name).toBe('CheckpointError');
  expect(error.details.file).toBe('model.safetensors');
  expect(error.message.length).toBeLessThan(400);
});

test('S3, S4: nothing is read or allocated beyond the length', async () => {
  const reads: number[] = [];
  for (const length of [2n ** 63n, 100_000_001n, 99_999_999n]) {
    const source = memorySource('model.safetensors', withLength(length));
    const readInto = source.readInto.bind(source);
    source.readInto = (offset, target) => {
      reads.push(target.byteLength);
      return readInto(offset, target);
    };
    await readSafetensorsHeader(source).catch(() => {});
  }
  expect(reads).toEqual([8, 8, 8]);
});

test('S7: __metadata__ with 1 M keys is accepted, as Rust does', { timeout: 60_000 }, async () => {
  const pairs = Array.from({ length: 1_000_000 }, (_, i) => `"k${i}":""`).join(',');
  expect((await read(safetensorsFile(`{"__metadata__":{${pairs}}}`))).size).toBe(0);
});

test('S9: any name is just a name, and Object.prototype is unchanged', async () => {
  const names = ['__proto__', 'constructor', 'toString', '', 'hasOwnProperty', '\u001b[31m'];
  const before = Object.getOwnPropertyNames(Object.prototype);
  const entries = names.map(
    (name, i) => `${JSON.stringify(name)}:${JSON.stringify(f32([1], 4 * i, 4 * i + 4))}`,
  );
  const tensors = await read(safetensorsFile(`{${entries.join(',')}}`, 4 * names.length));
  expect([...tensors.keys()]).toEqual(names);
  expect(tensors.get('valueOf')).toBeUndefined();
  expect(Object.getOwnPropertyNames(Object.prototype)).toEqual(before);
  expect(({} as Record<string, unknown>).dtype).toBeUndefined();
});

test('a name with control characters is escaped in messages', async () => {
  const error = await expectCode('ST_OFFSET_INVALID', () =>
    read(safetensorsFile({ '\u001b[31m': f32([1], 4, 0) })),
  );
  expect(error.message).not.toContain('\u001b');
});

test('S14: tensors of size 0 are accepted at any offset', async () => {
  const header = { a: f32([0, 5], 0, 0), b: f32([1], 0, 4), c: f32([2, 0], 4, 4) };
  expect([...(await read(safetensorsFile(header, 4))).keys()]).toEqual(['a', 'b', 'c']);
});

test('S15: every dtype of the format is accepted', async () => {
  const byBytes = {
    1: ['BOOL', 'U8', 'I8', 'F8_E4M3', 'F8_E5M2', 'F8_E8M0', 'F8_E4M3FNUZ', 'F8_E5M2FNUZ'],
    2: ['U16', 'I16', 'F16', 'BF16'],
    4: ['U32', 'I32', 'F32'],
    8: ['U64', 'I64', 'F64', 'C64'],
  };
  for (const [size, dtypes] of Object.entries(byBytes)) {
    for (const dtype of dtypes) {
      const file = safetensorsFile(
        { a: { dtype, shape: [1], data_offsets: [0, Number(size)] } },
        Number(size),
      );
      expect((await read(file)).get('a')?.dtype).toBe(dtype);
    }
  }
  for (const [dtype, size] of [
    ['F4', 2],
    ['F6_E2M3', 3],
    ['F6_E3M2', 3],
  ] as const) {
    const file = safetensorsFile({ a: { dtype, shape: [4], data_offsets: [0, size] } }, size);
    expect((await read(file)).get('a')?.dtype).toBe(dtype);
  }
});

test('S17: bytes that are a view into a larger buffer', async () => {
  const file = safetensorsFile({ a: f32([1], 0, 4) }, 4);
  const pool = new Uint8Array(file.byteLength + 100).fill(0x7b);
  pool.set(file, 37);
  const view = pool.subarray(37, 37 + file.byteLength);
  expect(await read(view)).toEqual(await read(file));
});

test('a header padded with spaces is accepted', async () => {
  expect((await read(safetensorsFile(`${JSON.stringify({ a: f32([1], 0, 4) })}    `, 4))).size).toBe(1);
});
