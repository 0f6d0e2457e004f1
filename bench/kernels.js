// Times the linear kernels against baselines ("the control").
//
//   npm run bench:kernels                             matmul 1024³, matrix-vector 4096², bf16 weights
//   npm run bench:kernels -- --size 512 --json FILE
//
// Each kernel is first checked against float64. Then all are timed in turns.

// @ts-check
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import {
  checkKernel,
  defineKernel,
  flatGroup,
  freeTensors,
  kernels,
  openGpu,
  read,
  readWeight,
  timeCalls,
  upload,
  weights,
  write,
} from 'm2-reasoning';
import { freeLinearWeights, linearWays, linearWeights, numbers } from './linear.js';

const { values } = parseArgs({
  options: {
    size: { type: 'string', default: '1024' },
    vector: { type: 'string', default: '4096' },
    rounds: { type: 'string', default: '5' },
    json: { type: 'string' },
  },
});
const [size, vector, rounds] = [values.size, values.vector, values.rounds].map(Number);

/** The control for matrix-vector kernels: one subgroup per row, with its lanes along the row, and weights in rows. */
const rowPerSubgroup = defineKernel({
  ...kernels.gemv.declaration,
  name: 'one row per subgroup',
  code: `
enable subgroups;
diagnostic(off, subgroup_uniformity);

override WORKGROUP_SIZE: u32 = 64u;
override SUBGROUP_SIZE: u32 = 32u;
override WEIGHT_DTYPE: u32 = 0u;
override BIAS_DTYPE: u32 = 0u;

@group(0) @binding(0) var<storage, read> x: array<f32>;           // [1, inDim]
@group(0) @binding(1) var<storage, read> weight: array<u32>;      // [outDim, inDim], or rows of it
@group(0) @binding(2) var<storage, read> bias: array<u32>;        // [outDim]
@group(0) @binding(3) var<storage, read_write> out: array<f32>;   // [1, outDim]
@group(0) @binding(4) var<uniform> params: Params;

struct Params {
  inDim: u32,
  weightFirstRow: u32,
  weightRows: u32,
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let row = flatGroup(group, groups) * (WORKGROUP_SIZE / SUBGROUP_SIZE) + thread / SUBGROUP_SIZE;
  let start = min(row, params.weightRows - 1u) * params.inDim;
  var sum = 0.0;
  if (WEIGHT_DTYPE != 0u && params.inDim % 2u == 0u) {
    for (var k = 2u * lane; k < params.inDim; k += 2u * SUBGROUP_SIZE) {
      sum += dot(vec2f(x[k], x[k + 1u]), unpackPair(weight[(start + k) / 2u], WEIGHT_DTYPE));
    }
  } else {
    for (var k = lane; k < params.inDim; k += SUBGROUP_SIZE) {
      sum += x[k] * unpackWeight(weight[weightWord(start + k, WEIGHT_DTYPE)], start + k, WEIGHT_DTYPE);
    }
  }
  sum = subgroupAdd(sum);
  if (lane == 0u && row < params.weightRows) {
    let col = params.weightFirstRow + row;
    out[col] = sum + unpackWeight(bias[weightWord(col, BIAS_DTYPE)], col, BIAS_DTYPE);
  }
}`,
  helpers: [flatGroup, readWeight],
  bindings: {
    x: read('f32', [1, 'inDim']),
    weight: weights(['outDim', 'inDim']),
    bias: weights(['outDim']),
    out: write('f32', [1, 'outDim']),
  },
  constants: { WORKGROUP_SIZE: 64 },
  usesSubgroups: true,
  dispatch: ({ weightRows }, { WORKGROUP_SIZE, SUBGROUP_SIZE }) => [
    Math.ceil(weightRows / (WORKGROUP_SIZE / SUBGROUP_SIZE)),
  ],
});

const gpu = await openGpu();
const hasSubgroups = gpu.device.features.has('subgroups');
const measures = [await matmul(), await matrixVector()];
const stored = { date: new Date().toISOString().slice(0, 10), adapter: gpu.description, measures };
if (values.json) writeFileSync(values.json, `${JSON.stringify(stored, null, 2)}\n`);
gpu.destroy();

async function matmul() {
  const x = upload(gpu, numbers(size * size), [size, size], 'x');
  const weight = await linearWeights(gpu, size, size);
  const result = await measure(
    `matmul ${size}³, bf16 weights`,
    2 * size ** 3,
    'GFLOP/s',
    linearWays(weight, x),
  );
  await freeTensors(gpu, [x]);
  await freeLinearWeights(weight);
  return result;
}

async function matrixVector() {
  const x = upload(gpu, numbers(vector), [1, vector], 'x');
  const weight = await linearWeights(gpu, vector, vector);
  const [{ rows }] = weight.copies;
  const control = {
    name: rowPerSubgroup.declaration.name,
    checked: [rowPerSubgroup],
    /** @param {import('m2-reasoning').Pass} pass */
    record: (pass) => void rowPerSubgroup(pass, { x, weight: rows, bias: weight.bias }),
  };
  const ways = [...(hasSubgroups ? [control] : []), ...linearWays(weight, x)];
  const result = await measure(`matrix-vector ${vector}², bf16 weights`, 2 * vector ** 2, 'GB/s', ways);
  await freeTensors(gpu, [x]);
  await freeLinearWeights(weight);
  return result;
}

/**
 * @param {string} name
 * @param {number} work operations of one call; for GB/s, bytes (a bf16 matrix-vector product has as many operations as bytes)
 * @param {string} unit
 * @param {Pick<import('./linear.js').Way, 'name' | 'checked' | 'record'>[]} contenders the first is the control
 */
async function measure(name, work, unit, contenders) {
  console.log(`${name}, on ${gpu.description}`);
  for (const { name: contender, checked } of contenders) {
    for (const kernel of checked) {
      const wrong = (await checkKernel(gpu, kernel)).find(({ ok }) => !ok);
      if (wrong) throw new Error(`${contender}: wrong in "${wrong.case}", ${wrong.verdict}`);
    }
  }
  const timed = await timeCalls(
    gpu,
    contenders.map(({ record }) => record),
    { rounds },
  );
  const rows = timed.map(({ usPerCall, roundsUs }, i) => {
    const ratios = roundsUs.map((us, round) => timed[0].roundsUs[round] / us).sort((a, b) => a - b);
    const ratio = ratios[Math.floor(ratios.length / 2)];
    console.log(
      `  ${contenders[i].name.padEnd(44)} ${(work / usPerCall / 1000).toFixed(2).padStart(8)} ${unit}  ` +
        `x ${ratio.toFixed(2)} (${ratios[0].toFixed(2)} to ${ratios[ratios.length - 1].toFixed(2)})`,
    );
    return {
      kernel: contenders[i].name,
      usPerCall,
      ratio,
      lowest: ratios[0],
      highest: ratios[ratios.length - 1],
    };
  });
  return { name, rows };
}
