// Turns a random bf16 checkpoint into the GGUF file of a Qwen2 text model.

import { randomModel } from '../randomModel.js';
// @ts-check
import { writeGguf } from './ggufWriter.js';

/** @typedef {import('./ggufWriter.js').GgufTensor} GgufTensor */
/** @typedef {import('./ggufWriter.js').Metadata} Metadata */

const PIECE_BYTES = 8 * 2 ** 20;
const NORMAL = 1; // kinds of tokens
const CONTROL = 3;

/** The names of Qwen2's modules in llama.cpp. */
const MODULES = {
  'model.embed_tokens': 'token_embd',
  'model.norm': 'output_norm',
  lm_head: 'output',
  input_layernorm: 'attn_norm',
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  post_attention_layernorm: 'ffn_norm',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
};

/**
 * Writes the decoder of a random model: matrices in F16, norms and biases in F32.
 *
 * @param {string} path
 * @param {import('../randomModel.js').ShapeName} shape
 * @param {number} [layers]
 */
export async function writeRandomGguf(path, shape, layers) {
  const { config, files } = randomModel(shape, layers);
  const source = await files.open('model.safetensors');
  if (source === null) throw new Error('a generated checkpoint has its weights in model.safetensors');
  const lengthBytes = new Uint8Array(8);
  await source.readInto(0, lengthBytes);
  const headerBytes = Number(new DataView(lengthBytes.buffer).getBigUint64(0, true));
  const json = new Uint8Array(headerBytes);
  await source.readInto(8, json);
  /** @type {Record<string, { shape: number[], data_offsets: [number, number] }>} */
  const header = JSON.parse(new TextDecoder().decode(json));
  const tensors = Object.entries(header).flatMap(([name, { shape, data_offsets }]) =>
    name.startsWith('language_model.')
      ? [ggufTensor(name, shape, bf16Pieces(source, 8 + headerBytes + data_offsets[0], data_offsets))]
      : [],
  );
  await writeGguf(path, { metadata: metadataOf(config.llm), tensors });
}

/**
 * @param {string} name
 * @param {number[]} shape
 * @param {() => AsyncIterable<Uint16Array>} bf16Values
 * @returns {GgufTensor}
 */
function ggufTensor(name, shape, bf16Values) {
  const type = shape.length === 1 ? 'F32' : 'F16';
  const convert = type === 'F32' ? bf16ToF32 : bf16ToF16;
  async function* data() {
    for await (const values of bf16Values()) yield convert(values);
  }
  return { name: ggufName(name), shape, type, data };
}

/** `language_model.model.layers.3.mlp.up_proj.weight` → `blk.3.ffn_up.weight` @param {string} name */
function ggufName(name) {
  const match = /^language_model\.(?:model\.layers\.(\d+)\.)?(.+)\.(weight|bias)$/.exec(name);
  const module = match && MODULES[/** @type {keyof typeof MODULES} */ (match[2])];
  if (!match || module === undefined) throw new Error(`no name in a GGUF file for ${name}`);
  return `${match[1] === undefined ? '' : `blk.${match[1]}.`}${module}.${match[3]}`;
}

/**
 * @param {import('../../dist/index.js').ByteSource} source
 * @param {number} offset
 * @param {readonly [number, number]} range
 */
function bf16Pieces(source, offset, [begin, end]) {
  return async function* () {
    for (let done = 0; done < end - begin; done += PIECE_BYTES) {
      const bytes = new Uint8Array(Math.min(PIECE_BYTES, end - begin - done));
      await source.readInto(offset + done, bytes);
      yield new Uint16Array(bytes.buffer);
    }
  };
}

/** @param {Uint16Array} values */
function bf16ToF32(values) {
  const bits = Uint32Array.from(values, (value) => value << 16);
  return new Uint8Array(bits.buffer);
}

/** @param {Uint16Array} values */
function bf16ToF16(values) {
  return new Uint8Array(values.map((value) => f16OfBf16[value]).buffer);
}

/** The nearest f16 for each bf16: exact from 2^-14 to 65504, and off by at most 2^-25 below. */
const f16OfBf16 = Uint16Array.from({ length: 2 ** 16 }, (_, bits) => {
  const sign = bits & 0x8000;
  const exponent = ((bits >>> 7) & 0xff) - 127;
  const mantissa = bits & 0x7f;
  if (exponent > 15) return sign | 0x7c00;
  if (exponent >= -14) return sign | ((exponent + 15) << 10) | (mantissa << 3);
  return sign | Math.round((1 + mantissa / 128) * 2 ** (exponent + 24)); // in steps of 2^-24
});

/**
 * @param {import('../../dist/index.js').ModelConfig['llm']} llm
 * @returns {Metadata[]}
 */
function metadataOf(llm) {
  const { tokens, kinds } = vocabularyOf(llm.vocabSize);
  return [
    ['general.architecture', 'string', 'qwen2'],
    ['general.name', 'string', 'random weights'],
    ['general.file_type', 'uint32', 1], // mostly F16
    ['qwen2.context_length', 'uint32', llm.maxPositionEmbeddings],
    ['qwen2.embedding_length', 'uint32', llm.hiddenSize],
    ['qwen2.block_count', 'uint32', llm.numHiddenLayers],
    ['qwen2.feed_forward_length', 'uint32', llm.intermediateSize],
    ['qwen2.attention.head_count', 'uint32', llm.numAttentionHeads],
    ['qwen2.attention.head_count_kv', 'uint32', llm.numKeyValueHeads],
    ['qwen2.attention.layer_norm_rms_epsilon', 'float32', llm.rmsNormEps],
    ['qwen2.rope.freq_base', 'float32', llm.ropeTheta],
    ['tokenizer.ggml.model', 'string', 'gpt2'],
    ['tokenizer.ggml.pre', 'string', 'qwen2'],
    ['tokenizer.ggml.tokens', 'string[]', tokens],
    ['tokenizer.ggml.token_type', 'int32[]', kinds],
    ['tokenizer.ggml.merges', 'string[]', ['a b']],
    ['tokenizer.ggml.eos_token_id', 'uint32', llm.vocabSize - 1],
  ];
}

/** The 256 bytes, one merged pair, and fillers. Prompts are given as ids, so the tokens' texts do not matter. @param {number} size */
function vocabularyOf(size) {
  const bytes = Array.from({ length: 256 }, (_, byte) => byteCharacter(byte));
  const tokens = [...bytes, 'ab'];
  while (tokens.length < size) tokens.push(`<|filler_${tokens.length}|>`);
  return { tokens, kinds: tokens.map((_, id) => (id <= 256 ? NORMAL : CONTROL)) };
}

/** The letter for a byte in byte-level BPE: the byte itself if it is visible, else the next letter from 256 on. @param {number} byte */
function byteCharacter(byte) {
  const visible = (/** @type {number} */ b) => (b >= 33 && b <= 126) || (b >= 161 && b !== 173);
  if (visible(byte)) return String.fromCodePoint(byte);
  let hidden = 0;
  for (let b = 0; b < byte; b++) if (!visible(b)) hidden++;
  return String.fromCodePoint(256 + hidden);
}
