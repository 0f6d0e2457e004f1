// Qwen2 text models with random weights, the same for every benchmark and every engine.

// @ts-check
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { generatedFiles, generatedTensorsFor, parseModelConfig } from 'm2-reasoning';
import { folderFiles } from 'm2-reasoning/node';

export const tinyFolder = fileURLToPath(new URL('../weights/m2-tiny', import.meta.url));

/** The differences from the bundled model's config, with the names of config.json. */
export const SHAPES = {
  'm2-tiny': {},
  '0.5b': {
    hidden_size: 896,
    num_hidden_layers: 24,
    num_attention_heads: 14,
    num_key_value_heads: 2,
    intermediate_size: 4864,
    vocab_size: 151_936,
    rope_theta: 1e6,
    tie_word_embeddings: true,
    rope_scaling: { type: 'mrope', mrope_section: [8, 12, 12] },
  },
  '7b': {
    hidden_size: 3584,
    num_hidden_layers: 28,
    num_attention_heads: 28,
    num_key_value_heads: 4,
    intermediate_size: 18_944,
    vocab_size: 152_064,
    rope_theta: 1e6,
    tie_word_embeddings: false,
    rope_scaling: { type: 'mrope', mrope_section: [16, 24, 24] },
  },
};

/** @typedef {keyof typeof SHAPES} ShapeName */

/**
 * A bf16 checkpoint with a decoder of this shape and a minimal vision tower.
 *
 * @param {ShapeName} shape
 * @param {number} [layers] fewer layers than the shape has
 */
export function randomModel(shape, layers) {
  const config = JSON.parse(readFileSync(`${tinyFolder}/config.json`, 'utf8'));
  Object.assign(config.llm_config, SHAPES[shape]);
  if (layers !== undefined) config.llm_config.num_hidden_layers = layers;
  Object.assign(config.vision_config, { depth: 1, fullatt_block_indexes: [0] });
  const parsed = parseModelConfig(new TextEncoder().encode(JSON.stringify(config)), 'config.json');
  const tensors = generatedTensorsFor(parsed);
  const values = tensors.reduce(
    (sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1),
    0,
  );
  const files = generatedFiles({ config, tensors, otherFiles: folderFiles(tinyFolder) });
  return { config: parsed, files, bytes: 2 * values };
}

/**
 * The ids of an arbitrary prompt, without special tokens.
 *
 * @param {number} tokens
 */
export function promptOf(tokens) {
  return Array.from({ length: tokens }, (_, i) => (i * 7919) % 1000);
}

const BLOCK_BYTES = 4 * 2 ** 20;

/**
 * The same checkpoint, for timing only: the first 4 MiB of each tensor are generated and then repeated, and all layers are equal.
 * Reading it is as fast as copying memory, and takes 60 MB for any number of layers.
 *
 * @param {import('m2-reasoning').ModelFiles} files of `randomModel`
 * @returns {import('m2-reasoning').ModelFiles}
 */
export function repeatedWeights(files) {
  return {
    ...files,
    async open(name) {
      const source = await files.open(name);
      return source && name.endsWith('.safetensors') ? repeated(source) : source;
    },
  };
}

/** @param {import('m2-reasoning').ByteSource} source @returns {Promise<import('m2-reasoning').ByteSource>} */
async function repeated(source) {
  const lengthBytes = new Uint8Array(8);
  await source.readInto(0, lengthBytes);
  const header = new Uint8Array(8 + Number(new DataView(lengthBytes.buffer).getBigUint64(0, true)));
  await source.readInto(0, header);
  /** @type {[string, { data_offsets: [number, number] }][]} */
  const entries = Object.entries(JSON.parse(new TextDecoder().decode(header.subarray(8))));
  const placed = entries.map(([name, { data_offsets }]) => {
    const [begin, end] = data_offsets.map((offset) => header.length + offset);
    return { kind: name.replace(/\d+/, ''), begin, end };
  });
  /** @type {Map<string, Uint8Array>} */
  const blocks = new Map();
  return {
    ...source,
    async readInto(offset, target) {
      target.set(header.subarray(offset, offset + target.length));
      for (const { kind, begin, end } of placed) {
        const to = Math.min(offset + target.length, end);
        let from = Math.max(offset, begin);
        if (from >= to) continue;
        const block = blocks.get(kind) ?? new Uint8Array(Math.min(BLOCK_BYTES, end - begin));
        if (!blocks.has(kind)) await source.readInto(begin, block);
        blocks.set(kind, block);
        while (from < to) {
          const inBlock = (from - begin) % block.length;
          const count = Math.min(block.length - inBlock, to - from);
          target.set(block.subarray(inBlock, inBlock + count), from - offset);
          from += count;
        }
      }
    },
  };
}
