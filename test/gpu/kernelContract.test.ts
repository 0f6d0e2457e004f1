import { afterAll, describe, expect, it } from 'vitest';
import { compileKernel } from '../../src/gpu/compile.ts';
import { type KernelDeclaration, read, write } from '../../src/gpu/declaration.ts';
import { type Gpu, openGpu } from '../../src/gpu/device.ts';
import { defineKernel } from '../../src/gpu/kernel.ts';
import { checkKernel } from '../../src/gpu/measure/checkKernel.ts';
import { PANEL_ROWS } from '../../src/gpu/panels.ts';
import { Pass } from '../../src/gpu/pass.ts';
import { freeTensors, readTensor, upload, zeros } from '../../src/gpu/tensor.ts';
import { parseWgsl } from '../../src/gpu/wgslInterface.ts';
import { kernels } from '../../src/kernels/kernelSet.ts';
import { panelRows } from '../../src/kernels/shared/helpers.ts';

const gpu = await openGpu();
afterAll(() => gpu.destroy());

/** out = factor · x, a minimal kernel. */
const SCALE = `
  override WORKGROUP_SIZE: u32 = 64u;
  @group(0) @binding(0) var<storage, read> x: array<f32>;
  @group(0) @binding(1) var<storage, read_write> out: array<f32>;
  @group(0) @binding(2) var<uniform> params: Params;
  struct Params { n: u32, factor: f32, }
  @compute @workgroup_size(WORKGROUP_SIZE)
  fn main(@builtin(global_invocation_id) id: vec3u) {
    if (id.x < params.n) { out[id.x] = params.factor * x[id.x]; }
  }`;

const scale = defineKernel({
  name: 'scale',
  code: SCALE,
  bindings: { x: read('f32', ['n']), out: write('f32', ['n']) },
  params: { factor: 'f32' },
  constants: { WORKGROUP_SIZE: 64 },
  dispatch: ({ n }, { WORKGROUP_SIZE }) => [Math.ceil(n / WORKGROUP_SIZE)],
  reference: ({ x }, { factor }) => ({ out: x.map((value) => factor * value) }),
  cases: [{ name: 'odd size', sizes: { n: 71, factor: 0.5 } }],
  tolerance: { abs: 0, rel: 6e-8, reason: 'one rounding' },
});

describe('a kernel runs', () => {
  it('on its own, on typed arrays', async () => {
    expect([...(await scale.run(gpu, { x: Float32Array.of(1, 2, 3) }, { factor: 2 }))]).toEqual([2, 4, 6]);
  });

  it('on flat arrays, whose missing sizes are solved', async () => {
    const x = Float32Array.of(3, 4, 0, 5);
    const normed = await kernels.rmsNorm.run(gpu, { x, weight: Float32Array.of(1, 2) }, { eps: 0 });
    const root = Math.sqrt(12.5);
    expect(normed[0]).toBeCloseTo(3 / root, 6);
    expect(normed[1]).toBeCloseTo(8 / root, 6);
    expect(normed[3]).toBeCloseTo((2 * 5) / root, 6);
  });

  it('in a pass, repeatedly, on the current contents of its inputs', async () => {
    const x = upload(gpu, Float32Array.of(1, 2), [2], 'x');
    const pass = new Pass(gpu, 'test');
    const y = scale(pass, { x }, { factor: 3 });
    const result = pass.readBack(scale(pass, { x: y }, { factor: 10 }));
    await pass.submit();
    expect([...(await result.read())]).toEqual([30, 60]);
    pass.gpu.device.queue.writeBuffer(x.pieces[0].buffer, 0, Float32Array.of(5, 6));
    const { bindGroups } = gpu.counters;
    await pass.submit();
    expect([...(await result.read())]).toEqual([150, 180]);
    expect(gpu.counters.bindGroups).toBe(bindGroups);
    await pass.destroy();
    await freeTensors(gpu, [x]);
  });

  it('with scopes that share memory but keep what they return, and taps that see the value at their point', async () => {
    const seen: Record<string, number[]> = {};
    const x = upload(gpu, Float32Array.of(1), [1], 'x');
    const pass = new Pass(gpu, 'test', async (name, tensor) => {
      seen[name] = [...(await readTensor(gpu, tensor))];
    });
    const before = gpu.counters.buffers;
    const kept = pass.scope(() => {
      const inner = scale(pass, { x }, { factor: 2 });
      return scale(pass, { x: inner }, { factor: 2 });
    });
    pass.tap('kept', kept);
    const later = scale(pass, { x: kept }, { factor: 2 }); // takes over the memory of `inner`
    pass.tap('later', later);
    expect(gpu.counters.buffers - before).toBe(2 + 2); // two intermediates, two copies for the taps
    await pass.submit();
    expect(seen).toEqual({ kept: [4], later: [8] });
    await pass.destroy();
    await freeTensors(gpu, [x]);
  });
});

describe('a number that host and text both use', () => {
  it('is the same in both: the rows of a panel', async () => {
    expect(parseWgsl(await gpu.readText(panelRows)).consts).toEqual({ PANEL_ROWS });
  });
});

describe('checkKernel', () => {
  it('accepts a correct kernel', async () => {
    expect((await checkKernel(gpu, scale)).map(({ ok }) => ok)).toEqual([true]);
  });

  it.each([
    ['a wrong factor', ['params.factor *', '1.0001 * params.factor *']],
    ['a forgotten last value', ['id.x < params.n', 'id.x + 1u < params.n']],
    ['a wrong index', ['x[id.x]', 'x[id.x / 2u]']],
    ['NaN', ['params.factor * x[id.x]', 'sqrt(-1.0 - abs(x[id.x]))']],
  ])('finds %s', async (_, [from, to]) => {
    const mutant = scale.variant({ code: SCALE.replace(from, to) });
    const [row] = await checkKernel(gpu, mutant);
    expect(row.ok).toBe(false);
    expect(row.overTolerance).toBeGreaterThan(0);
  });
});

describe('a typed error names', () => {
  const x = Float32Array.of(1, 2, 3, 4);

  it('kernel, binding, symbol and both values, when shapes clash', async () => {
    const call = kernels.matmul.run(gpu, {
      x: { data: new Float32Array(6), shape: [2, 3] },
      weight: { data: new Float32Array(8), shape: [2, 4] },
      bias: new Float32Array(2),
    });
    await expect(call).rejects.toMatchObject({
      name: 'ShapeError',
      code: 'SHAPE_MISMATCH',
      message: expect.stringMatching(/matmul: weight .*inDim = 3.*4 in \[2,4\]/),
      details: { kernel: 'matmul', binding: 'weight' },
    });
  });

  it('a missing input, a missing param, an unknown binding', async () => {
    await expect(scale.run(gpu, {} as never, { factor: 1 })).rejects.toMatchObject({
      code: 'SHAPE_UNSOLVED',
      details: { binding: 'x' },
    });
    await expect(scale.run(gpu, { x }, {} as never)).rejects.toMatchObject({ details: { field: 'factor' } });
    await expect(scale.run(gpu, { x, y: x } as never, { factor: 1 })).rejects.toMatchObject({
      details: { binding: 'y' },
    });
  });

  it('file, line and column, when the text does not compile', async () => {
    const broken = scale.variant({ code: SCALE.replace('params.factor *', 'params.factor **') });
    await expect(broken.run(gpu, { x }, { factor: 1 })).rejects.toMatchObject({
      name: 'KernelError',
      code: 'KERNEL_COMPILE',
      message: expect.stringMatching(/^scale:9:\d+ .*if \(id\.x < params\.n\)/),
      details: { kernel: 'scale', line: 9 },
    });
  });

  it('a text that contradicts the declaration', async () => {
    const wrong: [string, string, RegExp][] = [
      ['read> x', 'read> y', /@binding\(0\) is y, but declared as x/],
      ['read_write> out', 'read> out', /out is read, but declared as read_write/],
      ['x: array<f32>', 'x: array<u32>', /x holds u32, but is declared as f32/],
      ['factor: f32', 'faktor: f32', /no field factor/],
    ];
    for (const [from, to, message] of wrong) {
      const mutant = scale.variant({ code: SCALE.replace(from, to) });
      await expect(mutant.run(gpu, { x }, { factor: 1 })).rejects.toMatchObject({
        code: 'KERNEL_INTERFACE',
        message: expect.stringMatching(message),
      });
    }
  });

  it.each([
    ['f16', 'shader-f16'],
    ['subgroups', 'subgroups'],
  ])('the feature that the device lacks, when the text enables %s', async (enabled, feature) => {
    const { declaration } = scale.variant({ code: `enable ${enabled};\n${SCALE}` });
    const without: Gpu = Object.create(gpu, { device: { value: { features: new Set() } } });
    const compiled = compileKernel(without, declaration as unknown as KernelDeclaration, {});
    await expect(compiled).rejects.toMatchObject({
      name: 'KernelError',
      code: 'KERNEL_FEATURE',
      message: expect.stringMatching(`^scale: needs ${feature}, which .* does not have; `),
      details: { kernel: 'scale', expected: feature },
    });
  });

  it('an unknown constant, and a missing text', async () => {
    await expect(
      scale.variant({ constants: { TILE: 4 } }).run(gpu, { x }, { factor: 1 }),
    ).rejects.toMatchObject({
      code: 'KERNEL_COMPILE',
      message: expect.stringContaining('TILE'),
    });
    const lost = scale.variant({ code: new URL('./nowhere.wgsl', import.meta.url) });
    await expect(lost.run(gpu, { x }, { factor: 1 })).rejects.toMatchObject({ code: 'KERNEL_COMPILE' });
  });

  it('a tensor that would be both read and written', async () => {
    const pass = new Pass(gpu, 'test');
    const tensor = zeros(gpu, 'f32', [4], 'tensor');
    expect(() => scale(pass, { x: tensor, out: tensor }, { factor: 1 })).toThrowError(
      expect.objectContaining({
        code: 'KERNEL_BINDING',
        details: expect.objectContaining({ binding: 'out' }),
      }),
    );
    await freeTensors(gpu, [tensor]);
  });

  it('a head that is too large for the attention kernels', async () => {
    const call = kernels.visionAttention.run(
      gpu,
      { qkv: new Float32Array(3 * 258), segments: Uint32Array.of(0, 1) },
      { numHeads: 1 },
    );
    await expect(call).rejects.toMatchObject({
      code: 'KERNEL_LIMIT',
      details: { actual: 258, expected: 256 },
    });
  });

  it('an array of another length, and a tensor larger than a binding', () => {
    expect(() => upload(gpu, new Float32Array(3), [2, 2], 'x')).toThrowError(
      expect.objectContaining({ code: 'INPUT_LENGTH' }),
    );
    const limit = gpu.device.limits.maxStorageBufferBindingSize;
    expect(() => zeros(gpu, 'f32', [limit / 4 + 1], 'huge')).toThrowError(
      expect.objectContaining({ code: 'GPU_LIMIT', details: expect.objectContaining({ tensor: 'huge' }) }),
    );
  });
});
