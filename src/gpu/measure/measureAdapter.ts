/** The peak rates of an adapter, measured with two minimal kernels. Other kernels are judged against them. */
import { read, write } from '../declaration.ts';
import type { Gpu } from '../device.ts';
import { defineKernel } from '../kernel.ts';
import type { Pass } from '../pass.ts';
import { freeTensors, zeros } from '../tensor.ts';
import { timeCalls } from './timeCalls.ts';

export interface AdapterRates {
  /** Bytes read and written by a copy, in GB/s. */
  readonly copyGbPerS: number;
  /** f32 multiply-adds on registers, two operations each, in GFLOP/s. */
  readonly multiplyAddGflopPerS: number;
}

const ROUNDS = { rounds: 5, roundMs: 20 };
const LONG_CALL_US = 2000; // long compared with the start of a call
const LARGEST_COPY_BYTES = 256 * 2 ** 20; // more than the 50 to 100 MB of a GPU's cache

const MAIN = `
override WORKGROUP_SIZE: u32 = 64u;
@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let index = (group.y * groups.x + group.x) * WORKGROUP_SIZE + thread;`;

const BINDINGS = `
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;`;

const copy = defineKernel({
  name: 'copy',
  code: `${MAIN}
  if (index < arrayLength(&out)) {
    out[index] = x[index];
  }
}${BINDINGS}`,
  bindings: { x: read('f32', ['n']), out: write('f32', ['n']) },
  constants: { WORKGROUP_SIZE: 256 },
  dispatch: ({ n }, { WORKGROUP_SIZE }) => [n / WORKGROUP_SIZE],
  reference: ({ x }) => ({ out: x }),
  cases: [],
  tolerance: { abs: 0, rel: 0, reason: 'a copy: exact' },
});

/** On software adapters every thread costs time: four values per thread are two to four times as fast there. */
const copyByFour = copy.variant({
  code: `${MAIN}
  let i = 4u * index;
  out[i] = x[i];
  out[i + 1u] = x[i + 1u];
  out[i + 2u] = x[i + 2u];
  out[i + 3u] = x[i + 3u];
}${BINDINGS}`,
  dispatch: ({ n }, { WORKGROUP_SIZE }) => [n / 4 / WORKGROUP_SIZE],
});

const STEPS = 256;
const FLOPS_PER_THREAD = STEPS * 8 * 4 * 2; // eight vectors of four lanes, a multiply and an add

/** Eight independent sums hide the latency of each multiply-add. */
const multiplyAdd = defineKernel({
  name: 'multiplyAdd',
  code: `${MAIN}
  let factor = vec4f(x[0]);
  let start = vec4f(f32(thread)) + vec4f(0.0, 0.25, 0.5, 0.75);
  var a = start; var b = start + 1.0; var c = start + 2.0; var d = start + 3.0;
  var e = start + 4.0; var f = start + 5.0; var g = start + 6.0; var h = start + 7.0;
  for (var step = 0u; step < ${STEPS}u; step++) {
    a = fma(a, factor, start); b = fma(b, factor, start); c = fma(c, factor, start); d = fma(d, factor, start);
    e = fma(e, factor, start); f = fma(f, factor, start); g = fma(g, factor, start); h = fma(h, factor, start);
  }
  if (index < arrayLength(&out)) {
    out[index] = dot(a + b + c + d + e + f + g + h, vec4f(1.0));
  }
}${BINDINGS}`,
  bindings: { x: read('f32', [1]), out: write('f32', ['threads']) },
  constants: { WORKGROUP_SIZE: 64 },
  dispatch: ({ threads }, { WORKGROUP_SIZE }) => [threads / WORKGROUP_SIZE],
  reference: () => ({}),
  cases: [],
  tolerance: { abs: 0, rel: 0, reason: 'timed only' },
});

const measured = new WeakMap<Gpu, Promise<AdapterRates>>();

/** Measures an adapter's rates in a second or two, once per `Gpu`. @throws GpuError if the device fails */
export function measureAdapter(gpu: Gpu): Promise<AdapterRates> {
  const rates = measured.get(gpu) ?? measure(gpu);
  measured.set(gpu, rates);
  return rates;
}

async function measure(gpu: Gpu): Promise<AdapterRates> {
  return { copyGbPerS: await measureCopy(gpu), multiplyAddGflopPerS: await measureMultiplyAdd(gpu) };
}

/** The faster of two copy kernels, with more bytes until a call is long. */
async function measureCopy(gpu: Gpu): Promise<number> {
  const largest = Math.min(LARGEST_COPY_BYTES, 2 ** Math.floor(Math.log2(gpu.maxBindingBytes)));
  for (let bytes = 2 ** 20; ; bytes = Math.min(16 * bytes, largest)) {
    const x = zeros(gpu, 'f32', [bytes / 4], 'x');
    const out = zeros(gpu, 'f32', [bytes / 4], 'out');
    const ways = [copy, copyByFour].map((way) => (pass: Pass) => void way(pass, { x, out }));
    const timed = await timeCalls(gpu, ways, ROUNDS);
    await freeTensors(gpu, [x, out]);
    const usPerCall = Math.min(...timed.map((way) => way.usPerCall));
    if (usPerCall > LONG_CALL_US || bytes >= largest) return (2 * bytes) / usPerCall / 1e3;
  }
}

/** Raises the number of threads until a call is long: a large GPU needs many. */
async function measureMultiplyAdd(gpu: Gpu): Promise<number> {
  const x = zeros(gpu, 'f32', [1], 'x');
  for (let threads = 2 ** 12; ; threads *= 8) {
    const out = zeros(gpu, 'f32', [threads], 'out');
    const [{ usPerCall }] = await timeCalls(gpu, [(pass) => void multiplyAdd(pass, { x, out })], ROUNDS);
    await freeTensors(gpu, [out]);
    if (usPerCall > LONG_CALL_US || threads === 2 ** 21) {
      await freeTensors(gpu, [x]);
      return (threads * FLOPS_PER_THREAD) / usPerCall / 1e3;
    }
  }
}
