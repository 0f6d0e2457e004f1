import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { ErrorCode } from '../../src/errors.ts';
import { assertProcessorFits, parseModelConfig } from '../../src/model/checkpoint/config.ts';
import {
  DEFAULT_IMAGE_PROCESSOR,
  parseImageProcessorConfig,
} from '../../src/processor/image/imageProcessorConfig.ts';
import { goldens } from '../readTensors.ts';
import { expectCode, tinyConfig, utf8 } from './helpers.ts';

test('preprocessor_config.json of the goldens', () => {
  const path = `${goldens}checkpoints/video-rope-f32/preprocessor_config.json`;
  const config = parseImageProcessorConfig(readFileSync(path), 'preprocessor_config.json');
  expect(config).toEqual({ ...DEFAULT_IMAGE_PROCESSOR, minPixels: 9408, maxPixels: 156_800 });
  const published = readFileSync(`${goldens}checkpoints/mrope-bf16/preprocessor_config.json`);
  expect(parseImageProcessorConfig(published, 'preprocessor_config.json')).toEqual(DEFAULT_IMAGE_PROCESSOR);
});

test('preprocessor_config.json: missing and null fields', () => {
  const config = parseImageProcessorConfig(
    utf8('{"image_mean":null,"image_std":0.5}'),
    'preprocessor_config.json',
  );
  expect(config).toEqual({ ...DEFAULT_IMAGE_PROCESSOR, maxPixels: 1_003_520, imageStd: [0.5, 0.5, 0.5] });
});

const refusedProcessors: [code: ErrorCode, config: object][] = [
  ['CONFIG_UNSUPPORTED', { do_normalize: false }],
  ['CONFIG_UNSUPPORTED', { resample: 2 }],
  ['CONFIG_RANGE', { min_pixels: 0 }],
  ['CONFIG_RANGE', { image_std: [0, 1, 1] }],
  ['CONFIG_RANGE', { merge_size: 0 }],
  ['CONFIG_TYPE', { image_mean: [0, 0] }],
  ['CONFIG_TYPE', { max_pixels: '1' }],
  ['CONFIG_INCONSISTENT', { min_pixels: 2, max_pixels: 1 }],
];

test.for(refusedProcessors)('preprocessor_config.json: %s for %o', async ([code, config]) => {
  await expectCode(code, () =>
    parseImageProcessorConfig(utf8(JSON.stringify(config)), 'preprocessor_config.json'),
  );
});

test('a processor config of another checkpoint', async () => {
  const { vision } = parseModelConfig(utf8(JSON.stringify(tinyConfig())), 'config.json');
  assertProcessorFits(vision, DEFAULT_IMAGE_PROCESSOR);
  await expectCode('CONFIG_INCONSISTENT', () =>
    assertProcessorFits(vision, { ...DEFAULT_IMAGE_PROCESSOR, patchSize: 16 }),
  );
});
