// All ways to compute a linear layer on this adapter, for kernels.js and gpu.js to time.

// @ts-check
import { freeTensors, kernels, Pass, upload, zeros } from 'm2-reasoning';

/**
 * @typedef {object} Way
 * @property {string} name the names of its kernels
 * @property {import('m2-reasoning').Kernel<any, any>[]} checked its kernels
 * @property {number} bytes of weights, input and output, each counted once
 * @property {(pass: Pass) => void} record records one call
 *
 * @typedef {{ rows: Tensor, panels: Tensor, int8: { quants: Tensor, scales: Tensor } | null }} Copy
 * @typedef {{ gpu: import('m2-reasoning').Gpu, outDim: number, inDim: number, copies: Copy[], bias: Tensor }} LinearWeights
 * @typedef {import('m2-reasoning').Tensor} Tensor
 */

/**
 * A weight [outDim, inDim] of arbitrary numbers: bf16 in rows, bf16 in panels, and 8-bit integers if they fit one binding.
 *
 * @param {import('m2-reasoning').Gpu} gpu
 * @param {number} outDim
 * @param {number} inDim a multiple of 32
 * @param {number} [copies] calls use them in turns, so that their data is not in a cache
 * @returns {Promise<LinearWeights>}
 */
export async function linearWeights(gpu, outDim, inDim, copies = 1) {
  const values = halves(outDim * inDim);
  const made = [];
  for (let copy = 0; copy < copies; copy++) {
    const rows = upload(gpu, values, [outDim, inDim], 'rows', 'bf16'); // [outDim, inDim]
    const panels = upload(gpu, values, [outDim, inDim], 'panels', 'bf16', 'panels'); // [outDim, inDim]
    const int8 = outDim * inDim <= gpu.maxBindingBytes ? await inInt8(panels) : null;
    made.push({ rows, panels, int8 });
  }
  const bias = upload(gpu, new Float32Array(outDim), [outDim], 'bias'); // [outDim]
  return { gpu, outDim, inDim, copies: made, bias };

  /** @param {Tensor} weight in panels */
  async function inInt8(weight) {
    const quants = zeros(gpu, 'u32', [Math.ceil(outDim / 8), inDim / 4, 8], 'quants');
    const scales = zeros(gpu, 'f32', [Math.ceil(outDim / 8), inDim / 32, 8], 'scales');
    const pass = new Pass(gpu, 'to 8 bits');
    kernels.quantizePanels(pass, { weight, quants, scales });
    await pass.submit();
    await gpu.idle();
    await pass.destroy();
    return { quants, scales };
  }
}

/** @param {LinearWeights} weights */
export function freeLinearWeights({ gpu, copies, bias }) {
  const tensors = copies.flatMap(({ rows, panels, int8 }) => [rows, panels, ...Object.values(int8 ?? {})]);
  return freeTensors(gpu, [...tensors, bias]);
}

/**
 * All ways that the adapter can run.
 *
 * @param {LinearWeights} weights
 * @param {Tensor} x [rows, inDim]
 * @returns {Way[]} the plain way first
 */
export function linearWays({ gpu, outDim, inDim, copies, bias }, x) {
  const rows = x.shape[0];
  const { device, info, isSoftware } = gpu;
  const hasSubgroups = device.features.has('subgroups');
  const hasOneSize = hasSubgroups && info.subgroupMinSize === info.subgroupMaxSize;
  const gemvPanels = isSoftware
    ? kernels.gemvPanels
    : kernels.gemvPanels.variant({ constants: { WORKGROUP_SIZE: 64 } }); // whole subgroups
  let calls = 0;

  /**
   * @param {import('m2-reasoning').Kernel<any, any>[]} checked
   * @param {(pass: Pass, copy: Copy) => void} call
   * @param {number} [bytesPerWeight]
   * @returns {Way}
   */
  const way = (checked, call, bytesPerWeight = 2) => ({
    name: checked.map(({ declaration }) => declaration.name).join(' + '),
    checked,
    bytes: bytesPerWeight * outDim * inDim + 4 * rows * (inDim + outDim),
    record(pass) {
      pass.scope(() => {
        call(pass, copies[calls++ % copies.length]);
        return undefined; // the next call reuses the memory of the intermediates
      });
    },
  });
  /** @param {typeof kernels.matmulPanels} kernel */
  const transposed = (kernel) =>
    way([kernels.transposeRows, kernel], (pass, { panels: weight }) => {
      kernel(pass, { xT: kernels.transposeRows(pass, { x }), weight, bias }, { rows });
    });
  const inHalf = () =>
    way([kernels.transposeRows, kernels.rowScales, kernels.matmulPanelsHalf], (pass, { panels: weight }) => {
      const tensors = {
        xT: kernels.transposeRows(pass, { x }), // [inDim, paddedRows]
        xScales: kernels.rowScales(pass, { x }), // [paddedRows]
        weight,
        bias,
      };
      kernels.matmulPanelsHalf(pass, tensors, { rows });
    });
  /** @param {import('m2-reasoning').Kernel<any, any>} kernel */
  const quantized = (kernel) => {
    const call = (/** @type {Pass} */ pass, /** @type {Copy} */ { int8 }) => {
      const paddedRows = 8 * Math.ceil(rows / 8);
      const xQuants = pass.allocate('u32', [inDim / 4, paddedRows], 'xQuants');
      const xScales = pass.allocate('f32', [inDim / 32, paddedRows], 'xScales');
      kernels.quantizeRows(pass, { x, xQuants, xScales });
      kernel(pass, { xQuants, xScales, ...int8, bias }, { rows, weightFirstRow: 0, weightRows: outDim });
    };
    return way([kernels.quantizeRows, kernel], call, 1 + 4 / 32);
  };

  if (rows === 1) {
    return [
      way([kernels.gemv], (pass, { rows: weight }) => void kernels.gemv(pass, { x, weight, bias })),
      ...[gemvPanels, ...(hasOneSize ? [kernels.gemvPanelsSubgroup] : [])].map((kernel) =>
        way([kernel], (pass, { panels: weight }) => void kernel(pass, { x, weight, bias })),
      ),
      ...(copies[0].int8 ? [quantized(kernels.gemvInt8)] : []),
    ];
  }
  return [
    way([kernels.matmul], (pass, { rows: weight }) => void kernels.matmul(pass, { x, weight, bias })),
    ...[kernels.matmulPanels, kernels.matmulPanelsTiled].map(transposed),
    ...(hasSubgroups ? [transposed(kernels.matmulPanelsQuad)] : []),
    ...(device.features.has('shader-f16') ? [inHalf()] : []),
    ...(copies[0].int8 ? [quantized(kernels.matmulInt8)] : []),
    ...(copies[0].int8 && hasSubgroups ? [quantized(kernels.matmulInt8Quad)] : []),
  ];
}

/** f32 values in [-1, 1). @param {number} count */
export function numbers(count) {
  return Float32Array.from({ length: count }, (_, i) => ((i * 7919) % 1000) / 500 - 1);
}

/** bf16 values with magnitudes from 0.5 to 2 and both signs. @param {number} count */
function halves(count) {
  const values = new Uint16Array(count);
  for (let i = 0; i < Math.min(count, 256); i++) values[i] = 0x3f00 + ((i * 7919) % 256) + ((i & 1) << 15);
  for (let done = 256; done < count; done *= 2) values.copyWithin(done, 0, done);
  return values;
}
