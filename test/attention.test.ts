/** There are several implementations of attention, chosen by adapter, kernels and memory for scores. All give the same results. */
import { expect, it } from 'vitest';
import { compareArrays } from '../src/gpu/measure/compare.ts';
import { Pass } from '../src/gpu/pass.ts';
import { freeTensors, readTensor, upload, writePiece } from '../src/gpu/tensor.ts';
import { plainKernels } from '../src/kernels/plain/plainKernels.ts';
import { folderFiles } from '../src/model/checkpoint/checkpointFolder.node.ts';
import { readModelConfig } from '../src/model/checkpoint/config.ts';
import { fastAttention } from '../src/model/fast/fastAttention.ts';
import { KernelLookup } from '../src/model/fast/kernelLookup.ts';
import { type Attention, plainAttention } from '../src/model/graph/attention.ts';
import { KvCache } from '../src/model/graph/kvCache.ts';
import { textPositions } from '../src/model/graph/positions.ts';
import { sharedGpu } from './sharedGpu.ts';
import { tiny } from './tinyExamples.ts';

const gpu = await sharedGpu();
const small = await sharedGpu(10_000); // room for the scores of a few queries at a time

const CONTEXT = 40;
const config = await readModelConfig(folderFiles(tiny));
const { llm } = config;
const plainForm = plainAttention(plainKernels);
const fastForm = (onGpu = gpu, splitKeys = Number.POSITIVE_INFINITY) =>
  fastAttention(plainKernels, new KernelLookup(onGpu, {}, null), config, splitKeys);
const { numAttentionHeads: heads, numKeyValueHeads: kvHeads, headDim } = llm;
const waves = (length: number, step: number) => Float32Array.from({ length }, (_, i) => Math.sin(i * step));

/** Attention of the tokens from key 21 on, with keys 0 … 20 already in the cache. @returns the output, and the kernels that ran */
async function attend(form: Attention, tokens = 1, onGpu = gpu) {
  const cache = new KvCache(onGpu, llm, CONTEXT, textPositions(0), 'sections');
  const { k, v } = cache.layers[0];
  for (const [step, { pieces }] of [k, v].entries()) {
    const values = waves(kvHeads * CONTEXT * headDim, 0.7 + step);
    writePiece(onGpu, pieces[0], 0, new Uint8Array(values.buffer));
  }
  const qkvDim = (heads + 2 * kvHeads) * headDim;
  const qkv = upload(onGpu, waves(tokens * qkvDim, 0.3), [tokens, qkvDim], 'qkv');
  const pass = new Pass(onGpu, 'attention');
  const seen = cache.upTo(21 + tokens);
  const out = form.decoder(pass, seen, tokens)(qkv, 0);
  cache.setStart(21);
  await pass.submit();
  const outputs = (await Promise.all(
    [out, k, v].map((tensor) => readTensor(onGpu, tensor)),
  )) as Float32Array[];
  const ran = await kernelsOf(pass);
  await pass.destroy();
  await freeTensors(onGpu, [qkv]);
  await cache.destroy();
  return { outputs, ran };
}

async function kernelsOf(pass: Pass) {
  return (await pass.prepared()).map((step) =>
    step.kind === 'dispatch' ? step.call.declaration.name : 'copy',
  );
}

it('one token, in one kernel, in splits and step by step: same output and cache', async () => {
  const plain = await attend(plainForm);
  const whole = await attend(fastForm());
  const split = await attend(fastForm(gpu, 8)); // the token is in the third of five splits
  expect(plain.ran).toEqual(['mRope', 'writeKv', 'decodeAttention']);
  expect(whole.ran).toEqual(['tokenAngles', 'attendToken']);
  expect(split.ran).toEqual(['tokenAngles', 'attendTokenSplits', 'mergeSplits']);
  const tolerance = { abs: 0, rel: 5e-6, reason: 'sums of 22 values in another order' };
  for (const { outputs } of [whole, split]) {
    for (const [i, actual] of outputs.entries()) {
      expect(compareArrays(actual, plain.outputs[i], tolerance)).toMatchObject({ ok: true });
    }
  }
});

it('several tokens, all at once, in batches and step by step: same results', async () => {
  const tokens = 15;
  const plain = await attend(plainForm, tokens);
  const whole = await attend(fastForm(), tokens);
  const parts = await attend(fastForm(small), tokens, small);
  expect(plain.ran).toEqual(['mRope', 'writeKv', 'causalAttention']);
  const halves = ['attentionScores', 'attentionValues'];
  expect(whole.ran).toEqual(['rotateAndCache', ...halves]);
  expect(parts.ran).toEqual(['rotateAndCache', ...halves, ...halves]); // 8 and 7
  const tolerance = { abs: 0, rel: 5e-6, reason: 'sums of 36 values in another order' };
  for (const [i, expected] of plain.outputs.entries()) {
    expect(compareArrays(whole.outputs[i], expected, tolerance)).toMatchObject({ ok: true });
    expect(parts.outputs[i]).toEqual(whole.outputs[i]);
  }
});

it('patches, all at once and in batches: same results', async () => {
  const [patches, numHeads, size] = [44, 4, 16];
  const bounds = [0, 16, 20, 44];
  const segments = bounds
    .slice(1)
    .flatMap((end, i) => new Array(end - bounds[i]).fill([bounds[i], end]).flat());
  const run = async (onGpu: typeof gpu, form: Attention) => {
    const shape = [patches, 3 * numHeads * size];
    const qkv = upload(onGpu, waves(shape[0] * shape[1], 0.3), shape, 'qkv');
    const bound = upload(onGpu, Uint32Array.from(segments), [patches, 2], 'segments');
    const pass = new Pass(onGpu, 'vision attention');
    const out = form.vision(pass, qkv, bound, numHeads);
    await pass.submit();
    const values = (await readTensor(onGpu, out)) as Float32Array;
    const ran = await kernelsOf(pass);
    await pass.destroy();
    await freeTensors(onGpu, [qkv, bound]);
    return { values, ran };
  };
  const plain = await run(gpu, plainForm);
  const whole = await run(gpu, fastForm());
  const parts = await run(small, fastForm(small));
  expect(plain.ran).toEqual(['visionAttention']);
  expect(whole.ran).toEqual(['visionScores', 'visionValues']);
  expect(parts.ran).toEqual(new Array(4).fill(whole.ran).flat()); // three times 12, and 8
  const tolerance = { abs: 0, rel: 5e-6, reason: 'sums of 24 values in another order' };
  expect(compareArrays(whole.values, plain.values, tolerance)).toMatchObject({ ok: true });
  expect(parts.values).toEqual(whole.values);
});
