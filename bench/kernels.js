// The linear kernels beside their controls: as fast as what?
//
//   npm run bench:kernels                             matmul 1024³, matrix-vector 4096², bf16 weights
//   npm run bench:kernels -- --size 512 --json FILE
//
// Each kernel is checked against float64 first; then all are timed in rounds that take turns. A benchmark prints; tests check.

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
  Pass,
  read,
  readWeight,
  timeCalls,
  upload,
  weights,
  write,
  zeros,
} from 'm2-reasoning';

const { values } = parseArgs({
  options: {
    size: { type: 'string', default: '1024' },
    vector: { type: 'string', default: '4096' },
    rounds: { type: 'string', default: '5' },
    json: { type: 'string' },
  },
});
const [size, vector, rounds] = [values.size, values.vector, values.rounds].map(Number);

/** The control of matrix-vector kernels: one subgroup per row, lanes along the row, weights as stored. */
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
  const rows = upload(gpu, halves(size * size), [size, size], 'rows', 'bf16');
  const panels = upload(gpu, halves(size * size), [size, size], 'panels', 'bf16', 'panels');
  const bias = upload(gpu, new Float32Array(size), [size], 'bias');
  const int8 = await inInt8(panels);
  const result = await measure(`matmul ${size}³, bf16 weights`, 2 * size ** 3, 'GFLOP/s', [
    {
      name: 'matmul (plain, the control)',
      checked: [kernels.matmul],
      record: (pass) => void kernels.matmul(pass, { x, weight: rows, bias }),
    },
    {
      name: 'transposeRows + matmulPanels',
      checked: [kernels.transposeRows, kernels.matmulPanels],
      record(pass) {
        const xT = kernels.transposeRows(pass, { x });
        kernels.matmulPanels(pass, { xT, weight: panels, bias }, { rows: size });
      },
    },
    ...(hasSubgroups
      ? [
          {
            name: 'transposeRows + matmulPanelsQuad',
            checked: [kernels.transposeRows, kernels.matmulPanelsQuad],
            /** @param {import('m2-reasoning').Pass} pass */
            record(pass) {
              const xT = kernels.transposeRows(pass, { x });
              kernels.matmulPanelsQuad(pass, { xT, weight: panels, bias }, { rows: size });
            },
          },
        ]
      : []),
    ...(gpu.device.features.has('shader-f16')
      ? [
          {
            name: 'transposeRows, rowScales + matmulPanelsHalf',
            checked: [kernels.transposeRows, kernels.rowScales, kernels.matmulPanelsHalf],
            /** @param {import('m2-reasoning').Pass} pass */
            record(pass) {
              const xT = kernels.transposeRows(pass, { x });
              const xScales = kernels.rowScales(pass, { x });
              kernels.matmulPanelsHalf(pass, { xT, xScales, weight: panels, bias }, { rows: size });
            },
          },
        ]
      : []),
    {
      name: 'quantizeRows + matmulInt8',
      checked: [kernels.quantizeRows, kernels.matmulInt8],
      record(pass) {
        const params = { rows: size, weightFirstRow: 0, weightRows: size };
        kernels.matmulInt8(pass, { ...quantized(pass, x), ...int8, bias }, params);
      },
    },
    ...(hasSubgroups
      ? [
          {
            name: 'quantizeRows + matmulInt8Quad',
            checked: [kernels.quantizeRows, kernels.matmulInt8Quad],
            /** @param {import('m2-reasoning').Pass} pass */
            record(pass) {
              const params = { rows: size, weightFirstRow: 0, weightRows: size };
              kernels.matmulInt8Quad(pass, { ...quantized(pass, x), ...int8, bias }, params);
            },
          },
        ]
      : []),
  ]);
  await freeTensors(gpu, [x, rows, panels, bias, ...Object.values(int8)]);
  return result;
}

/**
 * A weight in 8-bit integers with scales.
 *
 * @param {import('m2-reasoning').Tensor} weight in panels
 */
async function inInt8(weight) {
  const [outDim, inDim] = weight.shape;
  const quants = zeros(gpu, 'u32', [Math.ceil(outDim / 8), inDim / 4, 8], 'quants');
  const scales = zeros(gpu, 'f32', [Math.ceil(outDim / 8), inDim / 32, 8], 'scales');
  const pass = new Pass(gpu, 'to 8 bits');
  kernels.quantizePanels(pass, { weight, quants, scales });
  await pass.submit();
  await gpu.idle();
  await pass.destroy();
  return { quants, scales };
}

/**
 * @param {import('m2-reasoning').Pass} pass
 * @param {import('m2-reasoning').Tensor} x [rows, inDim]
 */
function quantized(pass, x) {
  const [rows, inDim] = x.shape;
  const xQuants = pass.allocate('u32', [inDim / 4, 8 * Math.ceil(rows / 8)], 'xQuants');
  const xScales = pass.allocate('f32', [inDim / 32, 8 * Math.ceil(rows / 8)], 'xScales');
  kernels.quantizeRows(pass, { x, xQuants, xScales });
  return { xQuants, xScales };
}

async function matrixVector() {
  const x = upload(gpu, numbers(vector), [1, vector], 'x');
  const rows = upload(gpu, halves(vector * vector), [vector, vector], 'rows', 'bf16');
  const panels = upload(gpu, halves(vector * vector), [vector, vector], 'panels', 'bf16', 'panels');
  const bias = upload(gpu, new Float32Array(vector), [vector], 'bias');
  const int8 = await inInt8(panels);
  const result = await measure(`matrix-vector ${vector}², bf16 weights`, 2 * vector ** 2, 'GB/s', [
    ...(hasSubgroups
      ? [
          {
            name: 'one row per subgroup (the control)',
            checked: [rowPerSubgroup],
            /** @param {import('m2-reasoning').Pass} pass */
            record: (pass) => void rowPerSubgroup(pass, { x, weight: rows, bias }),
          },
        ]
      : []),
    {
      name: 'gemv (plain)',
      checked: [kernels.gemv],
      record: (pass) => void kernels.gemv(pass, { x, weight: rows, bias }),
    },
    {
      name: 'gemvPanels',
      checked: [kernels.gemvPanels],
      record: (pass) => void kernels.gemvPanels(pass, { x, weight: panels, bias }),
    },
    ...(hasSubgroups
      ? [
          {
            name: 'gemvPanelsSubgroup',
            checked: [kernels.gemvPanelsSubgroup],
            /** @param {import('m2-reasoning').Pass} pass */
            record: (pass) => void kernels.gemvPanelsSubgroup(pass, { x, weight: panels, bias }),
          },
        ]
      : []),
    {
      name: 'quantizeRows + gemvInt8',
      checked: [kernels.quantizeRows, kernels.gemvInt8],
      record(pass) {
        const params = { weightFirstRow: 0, weightRows: vector };
        kernels.gemvInt8(pass, { ...quantized(pass, x), ...int8, bias }, params);
      },
    },
  ]);
  await freeTensors(gpu, [x, rows, panels, bias, ...Object.values(int8)]);
  return result;
}

/**
 * @typedef {object} Contender
 * @property {string} name
 * @property {import('m2-reasoning').Kernel<any, any>[]} checked
 * @property {(pass: import('m2-reasoning').Pass) => void} record
 *
 * @param {string} name
 * @param {number} work operations of one call; in GB/s the weights' bytes are as many
 * @param {string} unit
 * @param {Contender[]} contenders the first is the control
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

/** @param {number} count */
function numbers(count) {
  return Float32Array.from({ length: count }, (_, i) => ((i * 7919) % 1000) / 500 - 1);
}

/** bf16 between 0.5 and 2, of both signs. @param {number} count */
function halves(count) {
  return Uint16Array.from({ length: count }, (_, i) => 0x3f00 + ((i * 7919) % 256) + ((i & 1) << 15));
}
