// @ts-check
// Defines a new kernel with its WGSL text, checks it against its float64 reference, and runs it on typed arrays.
// Run: npm run build && node examples/03-write-a-kernel.js
import { checkKernel, defineKernel, flatGroup, openGpu, read, write } from 'm2-reasoning';

const leakyRelu = defineKernel({
  name: 'leakyRelu',
  code: `
    override WORKGROUP_SIZE: u32 = 64u;

    @group(0) @binding(0) var<storage, read> x: array<f32>;           // [rows, dim]
    @group(0) @binding(1) var<storage, read_write> out: array<f32>;   // [rows, dim]
    @group(0) @binding(2) var<uniform> params: Params;

    struct Params {
      slope: f32,
    }

    @compute @workgroup_size(WORKGROUP_SIZE)
    fn main(
      @builtin(workgroup_id) group: vec3u,
      @builtin(num_workgroups) groups: vec3u,
      @builtin(local_invocation_index) thread: u32,
    ) {
      let index = flatGroup(group, groups) * WORKGROUP_SIZE + thread;  // one element of out
      if (index < arrayLength(&out)) {
        out[index] = select(params.slope * x[index], x[index], x[index] > 0.0);
      }
    }`,
  helpers: [flatGroup],
  bindings: { x: read('f32', ['rows', 'dim']), out: write('f32', ['rows', 'dim']) },
  params: { slope: 'f32' },
  constants: { WORKGROUP_SIZE: 64 },
  dispatch: ({ rows, dim }, { WORKGROUP_SIZE }) => [Math.ceil((rows * dim) / WORKGROUP_SIZE)],
  reference: ({ x }, { slope }) => ({ out: x.map((value) => (value > 0 ? value : slope * value)) }),
  cases: [
    { name: 'odd sizes', sizes: { rows: 3, dim: 71, slope: 0.1 } },
    { name: 'one column', sizes: { rows: 5, dim: 1, slope: 0.1 } },
    { name: 'zeros', sizes: { rows: 2, dim: 64, slope: 0.1 }, scale: 0 },
  ],
  tolerance: { abs: 0, rel: 1.2e-7, reason: 'the slope and one product: two roundings of 2^-24' },
});

const gpu = await openGpu();
try {
  console.table(await checkKernel(gpu, leakyRelu), ['case', 'maxAbs', 'bound', 'ok']);
  const x = { data: Float32Array.of(-2, -1, 0, 1, 2, 3), shape: [2, 3] };
  console.log(await leakyRelu.run(gpu, { x }, { slope: 0.1 }));
} finally {
  gpu.destroy();
}
