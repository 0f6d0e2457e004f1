import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CheckpointError } from '../../src/errors.ts';
import { memorySource } from '../../src/model/checkpoint/byteSource.ts';
import { readSafetensorsHeader } from '../../src/model/checkpoint/safetensors.ts';
import { safetensorsFile } from './helpers.ts';

const header = {
  __metadata__: { format: 'pt' },
  a: { dtype: 'F32', shape: [2, 3], data_offsets: [0, 24] },
  b: { dtype: 'BF16', shape: [4], data_offsets: [24, 32] },
  c: { dtype: 'I64', shape: [], data_offsets: [32, 40] },
};
const valid = safetensorsFile(header, 40);

/** Files must either be covered exactly by their tensors, or be refused with our own error. */
async function typedErrorOrTiled(bytes: Uint8Array): Promise<void> {
  let tensors: Awaited<ReturnType<typeof readSafetensorsHeader>>;
  try {
    tensors = await readSafetensorsHeader(memorySource('mutated.safetensors', bytes));
  } catch (error) {
    expect(error).toBeInstanceOf(CheckpointError);
    expect((error as CheckpointError).code).toMatch(/^ST_/);
    return;
  }
  let covered = 8 + Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  for (const { begin, end } of tensors.values()) {
    expect(begin).toBe(covered);
    covered = end;
  }
  expect(covered).toBe(bytes.byteLength);
}

const byte = fc.integer({ min: 0, max: 255 });
const position = fc.nat({ max: valid.byteLength - 1 });
const edit = fc.oneof(
  fc.record({ kind: fc.constant('set' as const), position, byte }),
  fc.record({ kind: fc.constant('insert' as const), position, byte }),
  fc.record({ kind: fc.constant('remove' as const), position, byte }),
);

test('bytes changed, inserted, removed', { timeout: 20_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 6 }), async (edits) => {
      const bytes = [...valid];
      for (const { kind, position, byte } of edits) {
        if (kind === 'set') bytes[position] = byte;
        else if (kind === 'insert') bytes.splice(position, 0, byte);
        else bytes.splice(position, 1);
      }
      await typedErrorOrTiled(new Uint8Array(bytes));
    }),
    { numRuns: 2000 },
  );
});

const oddNumber = fc.oneof(
  fc.integer({ min: -2, max: 50 }),
  fc.constantFrom(2 ** 31, 2 ** 32, 2 ** 53, 2 ** 63, 1e300, -1, 0.5),
);
const oddValue = fc.oneof(
  oddNumber,
  fc.constantFrom(null, true, '', 'F32', 'toString'),
  fc.jsonValue({ maxDepth: 2 }),
);
const oddEntry = fc.record(
  {
    dtype: fc.oneof(fc.constantFrom('F32', 'BF16', 'U8', 'F4', 'Q9'), oddValue),
    shape: fc.oneof(fc.array(oddNumber, { maxLength: 3 }), oddValue),
    data_offsets: fc.oneof(fc.tuple(oddNumber, oddNumber), oddValue),
  },
  { requiredKeys: [] },
);
const oddName = fc.oneof(
  fc.constantFrom('a', '__proto__', 'constructor', '__metadata__', ''),
  fc.string({ unit: 'binary' }),
);

test('well-formed JSON with odd contents', { timeout: 20_000 }, async () => {
  const entries = fc.array(fc.tuple(oddName, fc.oneof({ weight: 4, arbitrary: oddEntry }, oddValue)), {
    maxLength: 4,
  });
  await fc.assert(
    fc.asyncProperty(entries, fc.nat({ max: 50 }), async (pairs, dataBytes) => {
      const members = pairs.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
      await typedErrorOrTiled(safetensorsFile(`{${members.join(',')}}`, dataBytes));
    }),
    { numRuns: 2000 },
  );
});

test('tensors of any size, one after the other, are accepted', async () => {
  const sizes = fc.array(fc.tuple(fc.nat({ max: 4 }), fc.nat({ max: 4 })), { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(sizes, async (shapes) => {
      let end = 0;
      const members = shapes.map((shape, i) => {
        const begin = end;
        end += 2 * shape[0] * shape[1];
        return [`t${i}`, { dtype: 'F16', shape, data_offsets: [begin, end] }];
      });
      const file = safetensorsFile(Object.fromEntries(members), end);
      const tensors = await readSafetensorsHeader(memorySource('valid.safetensors', file));
      expect(tensors.size).toBe(shapes.length);
    }),
    { numRuns: 300 },
  );
});
