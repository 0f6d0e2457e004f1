import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parseModelConfig } from '../../src/model/checkpoint/config.ts';
import { goldens } from '../readTensors.ts';
import { tinyConfig, utf8 } from './helpers.ts';

const parse = (config: unknown) => parseModelConfig(utf8(JSON.stringify(config)), 'config.json');
const parseFile = (path: string) => parseModelConfig(readFileSync(path), 'config.json');
const root = new URL('../../', import.meta.url).pathname;

test('mrope-bf16', () => {
  expect(parseFile(`${goldens}checkpoints/mrope-bf16/config.json`)).toEqual({
    vision: {
      depth: 4,
      hiddenSize: 80,
      intermediateSize: 144,
      numHeads: 2,
      headDim: 40,
      inChannels: 3,
      patchSize: 14,
      spatialMergeSize: 2,
      temporalPatchSize: 2,
      tokensPerSecond: 2,
      windowSize: 112,
      outHiddenSize: 96,
      fullAttentionBlockIndexes: [1, 3],
    },
    llm: {
      vocabSize: 560,
      hiddenSize: 128,
      intermediateSize: 256,
      numHiddenLayers: 3,
      numAttentionHeads: 4,
      numKeyValueHeads: 2,
      headDim: 32,
      rmsNormEps: 1e-6,
      ropeTheta: 1e6,
      maxPositionEmbeddings: 4096,
      rope: 'm_rope',
      mropeSection: [4, 6, 6],
      tieWordEmbeddings: false,
      eosTokenId: 452,
      imagePatchToken: 479,
      imageStartToken: 480,
      videoPatchToken: 497,
      videoStartToken: 482,
    },
    mlpDepths: 2,
  });
});

test('video-rope-f32, rope-1d-f16, seven-b-slice and m2-tiny', () => {
  const video = parseFile(`${goldens}checkpoints/video-rope-f32/config.json`);
  expect(video.llm).toMatchObject({
    rope: 'video_rope',
    mropeSection: [4, 6, 6],
    rmsNormEps: 1e-5,
    headDim: 32,
  });
  expect(video).toMatchObject({ mlpDepths: 1, vision: { headDim: 16, fullAttentionBlockIndexes: [2] } });

  const plain = parseFile(`${goldens}checkpoints/rope-1d-f16/config.json`);
  expect(plain.llm).toMatchObject({
    rope: 'none',
    mropeSection: [],
    tieWordEmbeddings: true,
    vocabSize: 997,
  });
  expect(plain.llm).toMatchObject({ headDim: 16, numAttentionHeads: 9, numKeyValueHeads: 3, ropeTheta: 1e5 });

  const slice = parseFile(`${goldens}seven-b-slice/config.json`);
  expect(slice.llm).toMatchObject({ hiddenSize: 3584, headDim: 128, mropeSection: [16, 24, 24] });
  expect(slice.vision).toMatchObject({ hiddenSize: 1280, headDim: 80, outHiddenSize: 3584 });

  const tiny = parseFile(`${root}weights/m2-tiny/config.json`);
  expect(tiny.llm).toMatchObject({ hiddenSize: 192, numHiddenLayers: 5, headDim: 32, eosTokenId: 1078 });
});

test("missing fields take the reference's defaults", () => {
  const tokens = {
    eos_token_id: 5,
    image_patch_token: 1,
    image_start_token: 2,
    video_patch_token: 3,
    video_start_token: 4,
  };
  const { vision, llm, mlpDepths } = parse({
    vision_config: { hidden_size: 1280 },
    llm_config: { use_llm_3drope: false, ...tokens },
  });
  expect(mlpDepths).toBe(1);
  expect(vision).toEqual({
    depth: 32,
    hiddenSize: 1280,
    intermediateSize: 3420,
    numHeads: 16,
    headDim: 80,
    inChannels: 3,
    patchSize: 14,
    spatialMergeSize: 2,
    temporalPatchSize: 2,
    tokensPerSecond: 4,
    windowSize: 112,
    outHiddenSize: 3584,
    fullAttentionBlockIndexes: [7, 15, 23, 31],
  });
  expect(llm).toMatchObject({
    vocabSize: 151_936,
    hiddenSize: 4096,
    intermediateSize: 22_016,
    numHiddenLayers: 32,
    numAttentionHeads: 32,
    numKeyValueHeads: 32,
    headDim: 128,
    rmsNormEps: 1e-6,
    ropeTheta: 10_000,
    maxPositionEmbeddings: 32_768,
    tieWordEmbeddings: false,
  });
});

test('num_key_value_heads null means one per query head', () => {
  expect(parse(tinyConfig({ 'llm_config.num_key_value_heads': null })).llm.numKeyValueHeads).toBe(4);
});
