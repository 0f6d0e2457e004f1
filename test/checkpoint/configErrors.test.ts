import { expect, test } from 'vitest';
import type { ErrorCode } from '../../src/errors.ts';
import { parseModelConfig, readModelConfig } from '../../src/model/checkpoint/config.ts';
import { expectCode, memoryFiles, tinyConfig, utf8 } from './helpers.ts';

const parse = (config: unknown) => parseModelConfig(utf8(JSON.stringify(config)), 'config.json');
const parseText = (text: string) => parseModelConfig(utf8(text), 'config.json');

const refused: [row: string, code: ErrorCode, field: string, changes: Record<string, unknown>][] = [
  ['C5 no llm_config', 'CONFIG_MISSING', 'llm_config', { llm_config: undefined }],
  ['C5 no vision_config', 'CONFIG_MISSING', 'vision_config', { vision_config: undefined }],
  [
    'C5 no vision hidden_size',
    'CONFIG_MISSING',
    'vision_config.hidden_size',
    { 'vision_config.hidden_size': undefined },
  ],
  [
    'C5 no image token',
    'CONFIG_MISSING',
    'llm_config.image_patch_token',
    { 'llm_config.image_patch_token': undefined },
  ],
  [
    'C6 hidden 3585 with 28 heads',
    'CONFIG_INCONSISTENT',
    'llm_config.hidden_size',
    { 'llm_config.hidden_size': 3585, 'llm_config.num_attention_heads': 28 },
  ],
  [
    'C6 heads not a multiple of kv heads',
    'CONFIG_INCONSISTENT',
    'llm_config.num_attention_heads',
    { 'llm_config.num_key_value_heads': 3 },
  ],
  ['C6 odd head size', 'CONFIG_INCONSISTENT', 'llm_config.hidden_size', { 'llm_config.hidden_size': 132 }],
  [
    'C6 vision head size not a multiple of 4',
    'CONFIG_INCONSISTENT',
    'vision_config.hidden_size',
    { 'vision_config.hidden_size': 84 },
  ],
  ['C7 1e9 layers', 'CONFIG_RANGE', 'llm_config.num_hidden_layers', { 'llm_config.num_hidden_layers': 1e9 }],
  ['C7 1e9 blocks', 'CONFIG_RANGE', 'vision_config.depth', { 'vision_config.depth': 1e9 }],
  ['C7 vocabulary of 2^31', 'CONFIG_RANGE', 'llm_config.vocab_size', { 'llm_config.vocab_size': 2 ** 31 }],
  ['C7 window 0', 'CONFIG_RANGE', 'vision_config.window_size', { 'vision_config.window_size': 0 }],
  [
    'C7 window below a merged patch',
    'CONFIG_INCONSISTENT',
    'vision_config.window_size',
    { 'vision_config.window_size': 27 },
  ],
  ['C7 patch 0', 'CONFIG_RANGE', 'vision_config.patch_size', { 'vision_config.patch_size': 0 }],
  [
    'C7 merge 0',
    'CONFIG_RANGE',
    'vision_config.spatial_merge_size',
    { 'vision_config.spatial_merge_size': 0 },
  ],
  ['C7 0 heads', 'CONFIG_RANGE', 'llm_config.num_attention_heads', { 'llm_config.num_attention_heads': 0 }],
  ['C7 negative eps', 'CONFIG_RANGE', 'llm_config.rms_norm_eps', { 'llm_config.rms_norm_eps': -1e-6 }],
  ['C7 theta 0', 'CONFIG_RANGE', 'llm_config.rope_theta', { 'llm_config.rope_theta': 0 }],
  ['C7 mlp_depths 0', 'CONFIG_RANGE', 'mlp_depths', { mlp_depths: 0 }],
  ['C7 negative token id', 'CONFIG_RANGE', 'llm_config.eos_token_id', { 'llm_config.eos_token_id': -1 }],
  [
    'C8 use_llm_3drope true',
    'CONFIG_ROPE_UNKNOWN',
    'llm_config.use_llm_3drope',
    { 'llm_config.use_llm_3drope': true },
  ],
  [
    'C8 use_llm_3drope "foo"',
    'CONFIG_ROPE_UNKNOWN',
    'llm_config.use_llm_3drope',
    { 'llm_config.use_llm_3drope': 'foo' },
  ],
  [
    'C8 use_llm_3drope missing',
    'CONFIG_ROPE_UNKNOWN',
    'llm_config.use_llm_3drope',
    { 'llm_config.use_llm_3drope': undefined },
  ],
  [
    'C9 sections sum to 15',
    'CONFIG_INCONSISTENT',
    'llm_config.rope_scaling.mrope_section',
    { 'llm_config.rope_scaling.mrope_section': [4, 6, 5] },
  ],
  [
    'C9 two sections',
    'CONFIG_INCONSISTENT',
    'llm_config.rope_scaling.mrope_section',
    { 'llm_config.rope_scaling.mrope_section': [8, 8] },
  ],
  [
    'C9 no rope_scaling',
    'CONFIG_MISSING',
    'llm_config.rope_scaling',
    { 'llm_config.rope_scaling': undefined },
  ],
  [
    'C10 full attention index = depth',
    'CONFIG_RANGE',
    'vision_config.fullatt_block_indexes',
    { 'vision_config.fullatt_block_indexes': [4] },
  ],
  [
    'C10 full attention index twice',
    'CONFIG_RANGE',
    'vision_config.fullatt_block_indexes',
    { 'vision_config.fullatt_block_indexes': [1, 1] },
  ],
  [
    'C10 negative full attention index',
    'CONFIG_RANGE',
    'vision_config.fullatt_block_indexes',
    { 'vision_config.fullatt_block_indexes': [-1] },
  ],
  ['a string for a number', 'CONFIG_TYPE', 'llm_config.hidden_size', { 'llm_config.hidden_size': '128' }],
  ['a fraction for an integer', 'CONFIG_TYPE', 'llm_config.hidden_size', { 'llm_config.hidden_size': 128.5 }],
  ['null for a number', 'CONFIG_TYPE', 'llm_config.eos_token_id', { 'llm_config.eos_token_id': null }],
  [
    'a number for a boolean',
    'CONFIG_TYPE',
    'llm_config.tie_word_embeddings',
    { 'llm_config.tie_word_embeddings': 1 },
  ],
  ['an array for an object', 'CONFIG_TYPE', 'llm_config', { llm_config: [] }],
  [
    'strings for numbers',
    'CONFIG_TYPE',
    'vision_config.fullatt_block_indexes',
    { 'vision_config.fullatt_block_indexes': ['1'] },
  ],
  ['another activation', 'CONFIG_UNSUPPORTED', 'llm_config.hidden_act', { 'llm_config.hidden_act': 'gelu' }],
  [
    'sliding windows',
    'CONFIG_UNSUPPORTED',
    'llm_config.use_sliding_window',
    { 'llm_config.use_sliding_window': true },
  ],
  ['YaRN', 'CONFIG_UNSUPPORTED', 'llm_config.rope_scaling.type', { 'llm_config.rope_scaling.type': 'yarn' }],
  ['4 channels', 'CONFIG_UNSUPPORTED', 'vision_config.in_channels', { 'vision_config.in_channels': 4 }],
  ['C20 quantised', 'CKPT_DTYPE_UNSUPPORTED', 'quantization_config', { quantization_config: { bits: 4 } }],
];

test.for(refused)('%s: %s', async ([, code, field, changes]) => {
  const error = await expectCode(code, () => parse(tinyConfig(changes)));
  expect(error.details).toMatchObject({ file: 'config.json', field });
  expect(error.message).toContain(field);
});

test('C5: the hint says that the reference default is wrong', async () => {
  const config = tinyConfig({ 'vision_config.hidden_size': undefined });
  expect((await expectCode('CONFIG_MISSING', () => parse(config))).message).toContain('default of 3584');
});

test.for([true, 'foo', undefined])('C8: the message lists the three values, for %s', async (value) => {
  const error = await expectCode('CONFIG_ROPE_UNKNOWN', () =>
    parse(tinyConfig({ 'llm_config.use_llm_3drope': value })),
  );
  expect(error.message).toContain('"m_rope", "video_rope" or false');
  expect(error.details.hint).toBeTruthy();
});

test.for(['NaN', 'Infinity', '-Infinity', '1e999'])(
  'C7: rope_theta %s, as Python writes it',
  async (written) => {
    const text = JSON.stringify(tinyConfig({ 'llm_config.rope_theta': 12_345 })).replace('12345', written);
    expect((await expectCode('CONFIG_RANGE', () => parseText(text))).message).toContain('rope_theta is');
  },
);

test('C13: __proto__ and constructor pollute nothing and are not fields', async () => {
  const text = JSON.stringify(tinyConfig());
  const polluting = `{"__proto__":{"polluted":1,"mlp_depths":9},"constructor":{"prototype":{"polluted":1}},${text.slice(1)}`;
  expect(parseText(polluting)).toEqual(parseText(text));
  await expectCode('CONFIG_MISSING', () => parseText(`{"__proto__":${text}}`));
  expect(({} as Record<string, unknown>).polluted).toBeUndefined();
});

test('C14: a byte order mark is accepted', () => {
  const text = JSON.stringify(tinyConfig());
  expect(parseText(`\ufeff${text}`)).toEqual(parseText(text));
});

const unparsable: [row: string, bytes: Uint8Array][] = [
  ['trailing comma', utf8(`${JSON.stringify(tinyConfig()).slice(0, -1)},}`)],
  ['empty file', new Uint8Array(0)],
  ['truncated file', utf8(JSON.stringify(tinyConfig()).slice(0, 500))],
  ['array', utf8('[]')],
  ['null', utf8('null')],
  ['not UTF-8', new Uint8Array([0x7b, 0xff, 0x7d])],
  ['nested 100,000 deep', utf8('['.repeat(100_000))],
  ['deep, and quotes that hide brackets', utf8(`{"[[[\\"[[":${'['.repeat(64)}${']'.repeat(64)}}`)],
];

test.for(unparsable)('C14: %s is CONFIG_PARSE', async ([, bytes]) => {
  await expectCode('CONFIG_PARSE', () => parseModelConfig(bytes, 'config.json'));
});

test('brackets inside strings do not count as depth', () => {
  const text = JSON.stringify(tinyConfig({ note: `${'[{'.repeat(100)}\\"${'['.repeat(100)}` }));
  expect(parseText(text).mlpDepths).toBe(2);
});

test('C14: 1 GB is refused without reading it', async () => {
  const source = {
    name: 'config.json',
    sizeBytes: 2 ** 30,
    readInto: async () => {
      throw new Error('must not be read');
    },
    close: async () => {},
  };
  await expectCode('CONFIG_TOO_LARGE', () => readModelConfig({ name: 'huge', open: async () => source }));
  await expectCode('CONFIG_TOO_LARGE', () =>
    parseModelConfig(new Uint8Array(16 * 2 ** 20 + 1), 'config.json'),
  );
});

test('a folder without config.json', async () => {
  await expectCode('CONFIG_MISSING', () => readModelConfig(memoryFiles({})));
});
