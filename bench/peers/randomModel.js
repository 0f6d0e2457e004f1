// Qwen2 text models with random weights: one generator gives every engine its numbers.

// @ts-check
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { folderFiles, generatedFiles, generatedTensorsFor, parseModelConfig } from './library.js';

const tinyFolder = fileURLToPath(new URL('../../weights/m2-tiny', import.meta.url));

/** What differs from the bundled model's config; names are those of config.json. */
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
};

/** @typedef {keyof typeof SHAPES} ShapeName */

/**
 * A checkpoint in bf16 with a decoder of this shape behind the smallest vision tower.
 *
 * @param {ShapeName} shape
 * @param {number} [layers] fewer than the shape has
 */
export function randomModel(shape, layers) {
  const config = JSON.parse(readFileSync(`${tinyFolder}/config.json`, 'utf8'));
  Object.assign(config.llm_config, SHAPES[shape]);
  if (layers !== undefined) config.llm_config.num_hidden_layers = layers;
  Object.assign(config.vision_config, { depth: 1, fullatt_block_indexes: [0] });
  const parsed = parseModelConfig(new TextEncoder().encode(JSON.stringify(config)), 'config.json');
  const tensors = generatedTensorsFor(parsed);
  return { config: parsed, files: generatedFiles({ config, tensors, otherFiles: folderFiles(tinyFolder) }) };
}

/**
 * Ids of a made-up prompt, none of them special in any of the shapes.
 *
 * @param {number} tokens
 */
export function promptOf(tokens) {
  return Array.from({ length: tokens }, (_, i) => (i * 7919) % 1000);
}
