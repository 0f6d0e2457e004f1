// @ts-check
// A multimodal language model in one file: from the bytes of an image and a question to the text of the answer, on WebGPU.
//
//   image ───▸ resized RGB ─▸ patches ─▸ vision tower ─▸ projector ─┐ one row for each 28x28 pixels
//                                                                   ▼
//   messages ─▸ prompt ─▸ ids ─▸ embeddings ─────────▸ [tokens, hiddenSize] ─▸ decoder layers ─▸ logits ─▸ argmax ─▸ text
//                                ▲                                              and KV cache                │
//                                └──── from then on only the last chosen token: [1, hiddenSize] ────────────┘
//
// A tensor is a GPU buffer with a shape. A kernel is a GPU program, a .wgsl file in src/kernels. A kernel call such as
// `rmsNorm(pass, { x, weight }, { eps })` computes nothing yet: it appends the program to a list, the pass, and returns the tensor
// that the program will fill. `pass.submit()` sends the list to the GPU. `readTensor` waits for the GPU and reads numbers back.
// src/model is the same model with faster kernels, several images, clips, sampling and error checks.
//
// Shapes: patches are squares of 14x14 pixels; merged = patches / 4; tokens is the prompt's length, or 1. Other names: config.json.
// Run: npm run build && node examples/00-the-whole-model.js [picture.png "question"]
// biome-ignore-all assist/source/organizeImports: grouped by what they are for
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { Checkpoint, parseImageProcessorConfig, parseModelConfig } from 'm2-reasoning';
import { extractPatches, loadImage, resizeBicubic, smartResize, Tokenizer, TokenStream } from 'm2-reasoning';
import { inversePermutation, positionsFor, visionRotaryAngles, windowLayout } from 'm2-reasoning';
import { axisOfFrequency, llmRotaryTable } from 'm2-reasoning';
import { kernels, openGpu, Pass, readTensor, reshape, upload, zeros } from 'm2-reasoning';
import { folderFiles } from 'm2-reasoning/node';

/** @import { Gpu, GridThw, Tensor } from 'm2-reasoning' */
/** @typedef {Awaited<ReturnType<typeof load>>} Model */
/** @typedef {ReturnType<typeof newCache>} KvCache */
/** @typedef {(pass: Pass, model: Model, x: Tensor, module: string) => Tensor} Module named as in the checkpoint */

const { add, argmax, causalAttention, decodeAttention, embed, gatherRows, gelu, gemv, l2Normalize } = kernels;
const { matmul, mRope, rmsNorm, scatterRows, siluGate, visionAttention, visionRope, writeKv } = kernels;

const MAX_NEW_TOKENS = 512;

// Loads config, tokenizer and weights from a checkpoint folder. Weights keep their published names, except that matrices with the
// same input are joined, so that one product does the work of two or three.
/** @param {Gpu} gpu @param {string} folder */
export async function load(gpu, folder) {
  const read = (/** @type {string} */ name) => readFile(`${folder}/${name}`);
  const imageJson = await read('preprocessor_config.json');
  const imageConfig = parseImageProcessorConfig(imageJson, 'preprocessor_config.json');
  const tokenizer = Tokenizer.fromJson(await read('tokenizer.json'), null, 'tokenizer.json');
  const config = parseModelConfig(await read('config.json'), 'config.json');

  const checkpoint = await Checkpoint.open(folderFiles(folder), config);
  /** @type {Record<string, Tensor>} */
  const weights = {};
  for (const { name, dtype } of checkpoint.entries.values()) {
    if (/(k|v|up)_proj/.test(name)) continue; // joined with its q_proj or gate_proj
    const partner = (/** @type {string} */ part) => readRows(checkpoint, name.replace(/(q|gate)_proj/, part));
    let rows = await readRows(checkpoint, name);
    if (name.includes('q_proj')) {
      // Stacked: a row of the product is [query heads | key heads | value heads], the layout that the attention kernels need.
      rows = [...rows, ...(await partner('k_proj')), ...(await partner('v_proj'))];
    } else if (name.includes('gate_proj')) {
      // Alternating: a row of the product is gate 0, up 0, gate 1, up 1, …, so that siluGate finds each gate next to its up.
      const up = await partner('up_proj');
      rows = rows.flatMap((gate, i) => [gate, up[i]]);
    }
    const width = rows[0].length;
    const values = new Uint16Array(rows.length * width);
    for (const [i, row] of rows.entries()) values.set(row, i * width);
    const shape = width === 1 ? [rows.length] : [rows.length, width];
    const joined = name.replace('q_proj', 'qkv_proj').replace('gate_proj', 'gate_up_proj');
    weights[joined] = upload(gpu, values, shape, joined, dtype); // 16 bits on the GPU too: kernels convert to f32
  }
  await checkpoint.close();
  return { gpu, config, imageConfig, tokenizer, weights };
}

// The rows of a tensor as stored, with 16 bits per number. A vector has one number per row, the convolution one filter per row.
/** @param {Checkpoint} checkpoint @param {string} name */
async function readRows(checkpoint, name) {
  const { shape, sizeBytes } = checkpoint.entry(name);
  const bytes = new Uint8Array(sizeBytes);
  await checkpoint.readInto(name, 0, bytes);
  const values = new Uint16Array(bytes.buffer);
  const width = values.length / shape[0];
  return Array.from({ length: shape[0] }, (_, row) => values.subarray(row * width, (row + 1) * width));
}

// On the CPU: image → resized RGB → patches; messages → prompt → ids.
/** @param {Model} model @param {string} path @param {string} question @param {string} system */
export async function readInputs({ config, imageConfig, tokenizer }, path, question, system) {
  const rgb = await loadImage(path, 'picture'); // [height, width, 3]
  const { height, width } = smartResize(rgb.height, rgb.width, imageConfig); // multiples of 28
  const resized = resizeBicubic(rgb, height, width); // [height, width, 3]
  // A patch has two frames, because the model also reads clips. A still image fills both.
  const { pixelValues, gridThw } = extractPatches([resized, resized], imageConfig); // [patches, 3 · 2 · 14 · 14]

  const merged = (gridThw[1] * gridThw[2]) / config.vision.spatialMergeSize ** 2;
  const image = `<image>${'<imagePatch>'.repeat(merged)}</image>`; // one token per feature row
  const prompt = `<|im_start|>system
${system}<|im_end|>
<|im_start|>user
${image}${question}<|im_end|>
<|im_start|>assistant<|im_end|>
`; // the published prompt immediately closes the assistant's turn
  return { pixelValues, gridThw, ids: tokenizer.encode(prompt) };
}

/** A linear layer, x · weightᵀ + bias: [rows, inDim] → [rows, outDim]. @type {Module} */
function linear(pass, { gpu, weights }, x, module) {
  const weight = weights[`${module}.weight`]; // [outDim, inDim]
  const bias = weights[`${module}.bias`] ?? zeros(gpu, 'f32', [weight.shape[0]], 'no bias'); // [outDim]
  const kernel = x.shape[0] === 1 ? gemv : matmul; // matmul reuses each weight for several rows
  return kernel(pass, { x, weight, bias });
}

/** Each row divided by its root mean square, times a weight: [rows, dim] → [rows, dim]. @type {Module} */
function norm(pass, { config, weights }, x, module) {
  const eps = module.startsWith('vision_model') ? 1e-6 : config.llm.rmsNormEps; // the tower's is fixed in the published code
  return rmsNorm(pass, { x, weight: weights[`${module}.weight`] }, { eps });
}

// The vision tower: [patches, 3 · 2 · 14 · 14] → [merged, outHiddenSize].
/** @type {(pass: Pass, model: Model, pixels: Tensor, gridThw: GridThw) => Tensor} */
function visionTower(pass, model, pixels, gridThw) {
  const { gpu, config } = model;
  const { depth, headDim, hiddenSize, numHeads, spatialMergeSize, fullAttentionBlockIndexes } = config.vision;
  const patches = pixels.shape[0];
  const unit = spatialMergeSize ** 2; // the patches of a 2x2 square are consecutive, and are merged into one row at the end
  const merged = patches / unit;

  // Most blocks attend within windows of 8x8 patches, a few to the whole image. Patches are sorted by window, so that those which a
  // patch attends to are consecutive rows, given by their begin and end.
  const { windowIndex, cuWindowSeqlens, cuSeqlens } = windowLayout([gridThw], config.vision);
  const windows = upload(gpu, segmentOfEach(cuWindowSeqlens), [patches, 2], 'windows');
  const picture = upload(gpu, segmentOfEach(cuSeqlens), [patches, 2], 'picture');
  const index = upload(gpu, windowIndex, [merged], 'windowIndex');
  const byWindow = (/** @type {Tensor} */ x) => {
    const units = reshape(x, [merged, unit * x.shape[1]]); // the same memory as longer rows
    return reshape(gatherRows(pass, { x: units, index }), x.shape);
  };

  // Queries and keys are rotated by angles proportional to a patch's row and column, so their product depends on the distance.
  const angles = visionRotaryAngles([gridThw], config.vision); // [patches, headDim / 2]
  const cosAngles = byWindow(upload(gpu, angles.map(Math.cos), [patches, headDim / 2], 'cos'));
  const sinAngles = byWindow(upload(gpu, angles.map(Math.sin), [patches, headDim / 2], 'sin'));

  const hidden = byWindow(linear(pass, model, pixels, 'vision_model.patch_embed.proj')); // [patches, hiddenSize]
  for (let i = 0; i < depth; i++) {
    const block = `vision_model.blocks.${i}`;
    const segments = fullAttentionBlockIndexes.includes(i) ? picture : windows; // [patches, 2]
    // Tensors of one scope share their memory with the next scope, so that the tower needs only the memory of one block.
    pass.scope(() => {
      const normed = norm(pass, model, hidden, `${block}.norm1`); // [patches, hiddenSize]
      const qkv = linear(pass, model, normed, `${block}.attn.qkv`); // [patches, 3 · hiddenSize]
      visionRope(pass, { qkv, cosAngles, sinAngles }, { numHeads }); // in place
      const attended = visionAttention(pass, { qkv, segments }, { numHeads }); // [patches, hiddenSize]
      add(pass, { hidden, delta: linear(pass, model, attended, `${block}.attn.proj`) });

      const normed2 = norm(pass, model, hidden, `${block}.norm2`); // [patches, hiddenSize]
      const gateUp = linear(pass, model, normed2, `${block}.mlp.gate_up_proj`); // [patches, 2 · intermediateSize]
      const activated = siluGate(pass, { gateUp }); // [patches, intermediateSize]
      return add(pass, { hidden, delta: linear(pass, model, activated, `${block}.mlp.down_proj`) });
    });
  }

  const normed = norm(pass, model, hidden, 'vision_model.merger.ln_q'); // [patches, hiddenSize]
  const units = reshape(normed, [merged, unit * hiddenSize]); // [merged, 4 · hiddenSize]
  const inner = linear(pass, model, units, 'vision_model.merger.mlp.0'); // [merged, 4 · hiddenSize]
  const activated = gelu(pass, { x: inner }); // [merged, 4 · hiddenSize]
  const features = linear(pass, model, activated, 'vision_model.merger.mlp.2'); // [merged, outHiddenSize]
  const back = upload(gpu, inversePermutation(windowIndex), [merged], 'back');
  return gatherRows(pass, { x: features, index: back }); // [merged, outHiddenSize]
}

/** The segment of each row: boundaries [0, 4, 12] → four times (0, 4), then eight times (4, 12). @param {Uint32Array} boundaries */
function segmentOfEach(boundaries) {
  const segments = [];
  let begin = 0;
  for (const end of boundaries) {
    for (let row = begin; row < end; row++) segments.push(begin, end);
    begin = end;
  }
  return Uint32Array.from(segments);
}

// The projector: [merged, outHiddenSize] → [merged, hiddenSize of the decoder], each row of length 1.
/** @type {(pass: Pass, model: Model, features: Tensor) => Tensor} */
function projector(pass, model, features) {
  let x = linear(pass, model, features, 'linear_proj.0'); // [merged, hiddenSize]
  for (let i = 1; i < model.config.mlpDepths; i++) {
    x = linear(pass, model, gelu(pass, { x }), `linear_proj.${2 * i}`); // [merged, hiddenSize]
  }
  return l2Normalize(pass, { x }, { eps: 1e-12 }); // [merged, hiddenSize]
}

// What stays on the GPU between steps: the keys and values of all tokens so far, and the positions of all tokens.
/** @param {Model} model @param {number[]} ids of the prompt @param {GridThw} gridThw @param {number} context */
function newCache({ gpu, config: { llm, vision } }, ids, gridThw, context) {
  const { headDim, numHiddenLayers, numKeyValueHeads, mropeSection, rope, ropeTheta } = llm;
  const layers = Array.from({ length: numHiddenLayers }, () => ({
    kCache: zeros(gpu, 'f32', [numKeyValueHeads, context, headDim], 'kCache'),
    vCache: zeros(gpu, 'f32', [numKeyValueHeads, context, headDim], 'vCache'),
  }));
  const start = zeros(gpu, 'u32', [1], 'start'); // the cache index at which a pass begins: 0 for the prompt

  // A token has three positions: time, row and column. In text all three count up together. The tokens of an image share one time and
  // differ in row and column. Each frequency of the rotation uses one of the three, its axis.
  const answer = new Array(context - ids.length).fill(llm.eosTokenId); // placeholders for the answer: any text token will do
  const marks = { ...llm, spatialMergeSize: vision.spatialMergeSize }; // the ids of <image> and <imagePatch> are in llm
  const { positionIds } = positionsFor(rope, [...ids, ...answer], [{ gridThw }], marks, 'reference'); // [3, context]
  const [first, last] = [Math.min(...positionIds), Math.max(...positionIds)];
  const { cos, sin, firstPosition } = llmRotaryTable(first, last, headDim, ropeTheta);
  const table = [last - first + 1, headDim / 2]; // a row for each position, a column for each frequency
  const rotary = {
    positionIds: upload(gpu, positionIds, [3, context], 'positionIds'),
    axis: upload(gpu, axisOfFrequency(headDim, mropeSection, 'sections'), [headDim / 2], 'axis'),
    cosTable: upload(gpu, cos, table, 'cosTable'),
    sinTable: upload(gpu, sin, table, 'sinTable'),
  };
  return { layers, start, rotary, firstPosition };
}

// The decoder: `hidden` [tokens, hiddenSize] → the most likely next token, in `token` [1].
/** @type {(pass: Pass, model: Model, hidden: Tensor, cache: KvCache, token: Tensor) => void} */
function decoder(pass, model, hidden, { layers, start, rotary, firstPosition }, token) {
  const { numAttentionHeads: heads, numKeyValueHeads: kvHeads } = model.config.llm;
  for (const [i, { kCache, vCache }] of layers.entries()) {
    const layer = `language_model.model.layers.${i}`;
    pass.scope(() => {
      const normed = norm(pass, model, hidden, `${layer}.input_layernorm`); // [tokens, hiddenSize]
      const qkv = linear(pass, model, normed, `${layer}.self_attn.qkv_proj`); // [tokens, (heads + 2 · kvHeads) · headDim]
      mRope(pass, { qkv, ...rotary, start }, { rotatedHeads: heads + kvHeads, firstPosition }); // in place
      writeKv(pass, { qkv, start, kCache, vCache });
      const attention = hidden.shape[0] === 1 ? decodeAttention : causalAttention;
      const attended = attention(pass, { qkv, start, kCache, vCache }); // [tokens, heads · headDim]
      add(pass, { hidden, delta: linear(pass, model, attended, `${layer}.self_attn.o_proj`) });

      const normed2 = norm(pass, model, hidden, `${layer}.post_attention_layernorm`); // [tokens, hiddenSize]
      const gateUp = linear(pass, model, normed2, `${layer}.mlp.gate_up_proj`); // [tokens, 2 · intermediateSize]
      const activated = siluGate(pass, { gateUp }); // [tokens, intermediateSize]
      return add(pass, { hidden, delta: linear(pass, model, activated, `${layer}.mlp.down_proj`) });
    });
  }
  const index = upload(model.gpu, Uint32Array.of(hidden.shape[0] - 1), [1], 'last row');
  const last = gatherRows(pass, { x: hidden, index }); // [1, hiddenSize]
  const normed = norm(pass, model, last, 'language_model.model.norm'); // [1, hiddenSize]
  const logits = linear(pass, model, normed, 'language_model.lm_head'); // [1, vocabSize]
  argmax(pass, { logits, out: token });
}

// Yields the answer's tokens, including the end token: one pass for the prompt, then one pass per token.
/** @param {Model} model @param {Awaited<ReturnType<typeof readInputs>>} inputs */
export async function* generate(model, { pixelValues, gridThw, ids }) {
  const { gpu, config, weights } = model;
  const context = ids.length + MAX_NEW_TOKENS;
  const cache = newCache(model, ids, gridThw, context);
  const table = weights['language_model.model.embed_tokens.weight']; // [vocabSize, hiddenSize]
  const token = zeros(gpu, 'u32', [1], 'token'); // the last chosen token

  const prefill = new Pass(gpu, 'prefill');
  const patches = gridThw[1] * gridThw[2];
  const pixels = upload(gpu, pixelValues, [patches, pixelValues.length / patches], 'pixels');
  const features = projector(prefill, model, visionTower(prefill, model, pixels, gridThw)); // [merged, hiddenSize]
  const idTensor = upload(gpu, Uint32Array.from(ids), [ids.length], 'ids');
  const hidden = embed(prefill, { ids: idTensor, table }); // [tokens, hiddenSize]
  const places = ids.flatMap((id, place) => (id === config.llm.imagePatchToken ? [place] : []));
  const index = upload(gpu, Uint32Array.from(places), [places.length], 'places');
  scatterRows(prefill, { hidden, features, index }); // replaces the rows of <imagePatch> by the image's features
  decoder(prefill, model, hidden, cache, token);
  await prefill.run(); // like submit, but in several parts: a driver may kill work that runs for seconds

  // One step is recorded once and submitted repeatedly. Each time it reads `token` and replaces it by the next one.
  const step = new Pass(gpu, 'step');
  decoder(step, model, embed(step, { ids: token, table }), cache, token);
  for (let place = ids.length; place < context; place++) {
    const [id] = await readTensor(gpu, token);
    yield id;
    if (id === config.llm.eosTokenId) return;
    gpu.device.queue.writeBuffer(cache.start.pieces[0].buffer, 0, Uint32Array.of(place)); // its index in the cache
    await step.submit();
  }
}

// Only if this file is run, not imported.
if (process.argv[1]?.endsWith('00-the-whole-model.js')) {
  const folder = fileURLToPath(new URL('../weights/m2-tiny', import.meta.url));
  const [example] = JSON.parse(await readFile(`${folder}/examples/examples.json`, 'utf8'));
  const [path = `${folder}/examples/${example.image}`, question = example.question] = process.argv.slice(2);
  const gpu = await openGpu();
  try {
    const model = await load(gpu, folder);
    const inputs = await readInputs(model, path, question, example.system);
    const text = new TokenStream(model.tokenizer);
    for await (const id of generate(model, inputs)) process.stdout.write(text.push(id));
    console.log(text.end());
  } finally {
    gpu.destroy(); // frees all memory and lets the process exit
  }
}
