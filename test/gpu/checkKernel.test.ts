import { afterAll, describe, expect, it } from 'vitest';
import { type KernelDeclaration, read, write } from '../../src/gpu/declaration.ts';
import { openGpu } from '../../src/gpu/device.ts';
import { defineKernel } from '../../src/gpu/kernel.ts';
import { checkKernel } from '../../src/gpu/measure/checkKernel.ts';

const gpu = await openGpu();
afterAll(() => gpu.destroy());

/** out[row, column] = x[row, column] + 1 */
const TEXT = `
  @group(0) @binding(0) var<storage, read> x: array<f32>;
  @group(0) @binding(1) var<storage, read_write> out: array<f32>;
  @group(0) @binding(2) var<uniform> params: Params;
  struct Params { rows: u32, dim: u32 }
  @compute @workgroup_size(64)
  fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = id.x;
    if (i < params.rows * params.dim) { out[i] = x[i] + 1.0; }
  }`;

const DECLARATION = {
  name: 'plusOne',
  code: TEXT,
  bindings: { x: read('f32', ['rows', 'dim']), out: write('f32', ['rows', 'dim']) },
  dispatch: () => [1],
  reference: ({ x }) => ({ out: x.map((value) => value + 1) }),
  cases: [{ name: 'small', sizes: { rows: 3, dim: 5 }, inputs: () => ({ x: Float32Array.from(X) }) }],
  tolerance: { abs: 1e-6, rel: 0, reason: 'one rounding' },
} satisfies KernelDeclaration;
const X = Array.from({ length: 15 }, (_, i) => i);

/** Checks the declaration with changes; undefined removes a field. */
function check(changes: Partial<Record<keyof KernelDeclaration, unknown>>) {
  return checkKernel(gpu, defineKernel({ ...DECLARATION, ...changes } as KernelDeclaration));
}

describe('a row of the report', () => {
  it('of a correct kernel says ok', async () => {
    expect(await check({})).toEqual([
      {
        case: 'small',
        output: 'out',
        maxAbs: 0,
        maxRel: 0,
        worstIndex: 0,
        worstAt: '[0, 0]',
        expected: 1,
        actual: 1,
        overTolerance: 0,
        bound: 1e-6,
        ok: true,
        verdict: 'ok',
      },
    ]);
  });

  it('shows the worst value and its coordinates in the declared shape', async () => {
    const code = TEXT.replace('x[i] + 1.0', 'x[i] + select(1.0, f32(i), i == 7u || i == 13u)');
    expect(await check({ code })).toMatchObject([
      {
        maxAbs: 12,
        maxRel: 12 / 15,
        worstIndex: 13,
        worstAt: '[2, 3]',
        expected: 14,
        actual: 26,
        ok: false,
        verdict: '2 of 15 values further off than 0.00000100',
      },
    ]);
  });

  it('counts unwritten values, and wrong values separately', async () => {
    const tail = TEXT.replace('i < params', 'i + 4u < params');
    expect(await check({ code: tail })).toMatchObject([
      { ok: false, worstAt: '[2, 1]', verdict: '4 of 15 values not written' },
    ]);
    const both = tail.replace('+ 1.0', '+ 2.0');
    const verdict = '4 of 15 values not written; 11 of 15 values further off than 0.00000100';
    expect(await check({ code: both })).toMatchObject([{ ok: false, verdict }]);
  });

  it("does not mistake the kernel's own NaN for an unwritten value", async () => {
    const code = TEXT.replace('x[i] + 1.0', 'sqrt(-1.0 - x[i])');
    const verdict = '15 of 15 values further off than 0.00000100';
    expect(await check({ code })).toMatchObject([{ ok: false, verdict }]);
  });

  it('counts unwritten integers', async () => {
    const code = TEXT.replace('out: array<f32>', 'out: array<u32>')
      .replace('x[i] + 1.0', 'u32(x[i] + 1.0)')
      .replace('i < params', 'i + 1u < params');
    const bindings = { ...DECLARATION.bindings, out: write('u32', ['rows', 'dim']) };
    expect(await check({ code, bindings })).toMatchObject([
      { ok: false, verdict: '1 of 15 values not written' },
    ]);
  });
});

describe('a half-written declaration', () => {
  it('without a reference runs, and the report says so', async () => {
    expect(await check({ reference: undefined })).toMatchObject([
      {
        case: 'small',
        output: 'out',
        ok: false,
        verdict: 'plusOne has no reference: nothing to compare with',
      },
    ]);
  });

  it('without a reference and without a body says both', async () => {
    const code = TEXT.replace('out[i] = x[i] + 1.0;', '_ = x[i];');
    const [{ ok, verdict }] = await check({ code, reference: undefined });
    expect(ok).toBe(false);
    expect(verdict).toMatch(/no reference: .*; 15 of 15 values not written$/);
  });

  it.each([undefined, []])(
    'with %j as cases is compiled, and the report says that nothing was run',
    async (cases) => {
      const [row, ...more] = await check({ cases });
      expect(more).toEqual([]);
      expect(row).toMatchObject({
        case: 'no cases',
        ok: false,
        verdict: expect.stringContaining('no cases'),
      });
    },
  );

  it('with another name in the reference says what is missing and what is unknown', async () => {
    const rows = await check({ reference: () => ({ y: Float64Array.of(1) }) });
    expect(rows.map(({ output, ok, verdict }) => ({ output, ok, verdict }))).toEqual([
      { output: 'out', ok: false, verdict: 'the reference returns no out: nothing to compare with' },
      { output: 'y', ok: false, verdict: 'the reference returns y, which is not a binding' },
    ]);
  });

  it('with a reference of another length gives both lengths', async () => {
    const reference = () => ({ out: Float64Array.from(X.slice(0, 6), (value) => value + 1) });
    expect(await check({ reference })).toMatchObject([
      { ok: false, verdict: 'the reference returns 6 values, the output has 15' },
    ]);
  });

  it('without a tolerance is compared exactly', async () => {
    expect(await check({ tolerance: undefined })).toMatchObject([{ ok: true, bound: 0 }]);
  });

  it.each([{}, { cases: [] }])('whose text does not compile is one error (%j)', async (changes) => {
    const call = check({ ...changes, code: TEXT.replace('+ 1.0', '+ one') });
    await expect(call).rejects.toMatchObject({ name: 'KernelError', code: 'KERNEL_COMPILE' });
  });
});
