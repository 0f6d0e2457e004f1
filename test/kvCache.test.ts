import { expect, it } from 'vitest';
import { readTensor } from '../src/gpu/tensor.ts';
import { folderFiles } from '../src/model/checkpoint/checkpointFolder.node.ts';
import { readModelConfig } from '../src/model/checkpoint/config.ts';
import { KvCache } from '../src/model/graph/kvCache.ts';
import { type Positions, textPositions } from '../src/model/graph/positions.ts';
import { llmRotaryTable } from '../src/model/graph/rotaryTables.ts';
import { livingBuffers } from './livingBuffers.ts';
import { sharedGpu } from './sharedGpu.ts';

const gpu = await sharedGpu();

it('a cache takes the positions of another prompt, and replaces its tables if they are too small', async () => {
  const { llm } = await readModelConfig(folderFiles(new URL('../weights/m2-tiny', import.meta.url).pathname));
  const within: Positions = { positionIds: Int32Array.of(0, 1, 0, 2, 0, 3), ropeDelta: -2 };
  const below: Positions = { positionIds: Int32Array.of(0, 1, -3, 2, 0, -2), ropeDelta: 4 };
  const living = await livingBuffers(gpu, async () => {
    const cache = new KvCache(gpu, llm, 4, textPositions(0), 'sections');
    const { cosTable } = cache.rotary;
    await cache.setPositions(within);
    expect(await readTensor(gpu, cache.rotary.positionIds)).toEqual(
      Int32Array.of(0, 1, 0, 1, 0, 2, 0, 1, 0, 3, 0, 1),
    );
    expect(cache.rotary.cosTable).toBe(cosTable);

    await cache.setPositions(below);
    const expected = llmRotaryTable(-3, 7, llm.headDim, llm.ropeTheta);
    expect(cache.rotary.firstPosition).toBe(-3);
    expect(await readTensor(gpu, cache.rotary.cosTable)).toEqual(expected.cos);
    expect(await readTensor(gpu, cache.rotary.sinTable)).toEqual(expected.sin);
    await cache.destroy();
  });
  expect(living).toBe(0);
});
