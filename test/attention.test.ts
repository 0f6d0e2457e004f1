/** One token attends to the cache in several ways, of which the adapter and its kernels choose one: they agree. */
import { afterAll, expect, it } from 'vitest';
import { compareArrays } from '../src/gpu/compare.ts';
import { openGpu } from '../src/gpu/device.ts';
import { Pass } from '../src/gpu/pass.ts';
import { freeTensors, readTensor, upload, writePiece } from '../src/gpu/tensor.ts';
import { attendToCache, beginAttention } from '../src/model/attention.ts';
import { folderFiles } from '../src/model/checkpointFolder.node.ts';
import { readModelConfig } from '../src/model/config.ts';
import { chooseKernels, type ModelKernels } from '../src/model/kernelChoice.ts';
import { KvCache } from '../src/model/kvCache.ts';
import { textPositions } from '../src/model/positions.ts';
import { tiny } from './tinyExamples.ts';

const gpu = await openGpu();
afterAll(() => gpu.destroy());

const CONTEXT = 40;
const { llm } = await readModelConfig(folderFiles(tiny));
const { numAttentionHeads: heads, numKeyValueHeads: kvHeads, headDim } = llm;
const waves = (length: number, step: number) => Float32Array.from({ length }, (_, i) => Math.sin(i * step));

/** Keys 0 … 20 lie in the cache, the token of key 21 attends. @returns what comes out, and the kernels that ran */
async function attend(kernels: ModelKernels) {
  const cache = new KvCache(gpu, llm, CONTEXT, textPositions(0), 'sections');
  const { k, v } = cache.layers[0];
  for (const [step, { pieces }] of [k, v].entries()) {
    const values = waves(kvHeads * CONTEXT * headDim, 0.7 + step);
    writePiece(gpu, pieces[0], 0, new Uint8Array(values.buffer));
  }
  const qkvDim = (heads + 2 * kvHeads) * headDim;
  const qkv = upload(gpu, waves(qkvDim, 0.3), [1, qkvDim], 'qkv');
  const pass = new Pass(gpu, 'attention');
  const angles = beginAttention(pass, kernels, 1, heads, cache);
  const out = attendToCache(pass, kernels, qkv, cache, 0, angles);
  cache.setStart(21);
  await pass.submit();
  const outputs = (await Promise.all([out, k, v].map((tensor) => readTensor(gpu, tensor)))) as Float32Array[];
  const steps = await pass.prepared();
  const ran = steps.map((step) => (step.kind === 'dispatch' ? step.call.declaration.name : 'copy'));
  await pass.destroy();
  await freeTensors(gpu, [qkv]);
  await cache.destroy();
  return { outputs, ran };
}

it('in one kernel, in splits, and step by step: output and cache', async () => {
  const fast = chooseKernels(gpu, {}).kernels;
  const plain = await attend(chooseKernels(gpu, { kernelSet: 'plain' }).kernels);
  const whole = await attend({ ...fast, decodeSplitKeys: Number.POSITIVE_INFINITY });
  const split = await attend({ ...fast, decodeSplitKeys: 8 }); // the token is in the third of five
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
