// m2-reasoning on a text model.

import { promptOf, randomModel } from '../../randomModel.js';
// @ts-check
import { M2Reasoning, openGpu, positionsFor } from '../library.js';
import { timedTokens } from './timedTokens.js';

/** @param {{ shape: import('../../randomModel.js').ShapeName, layers?: number }} options */
export async function open({ shape, layers }) {
  const gpu = await openGpu();
  const { files, config } = randomModel(shape, layers);
  const model = await M2Reasoning.load(files, { gpu });
  const tokenKinds = { ...config.llm, spatialMergeSize: config.vision.spatialMergeSize };
  return {
    info: { device: gpu.info.device, driver: gpu.info.description },
    /** @param {{ promptTokens: number, steps: number }} run */
    generate({ promptTokens, steps }) {
      const inputIds = promptOf(promptTokens);
      const positions = positionsFor(config.llm.rope, inputIds, [], tokenKinds, 'reference');
      return timedTokens(async (onToken) => {
        await model.forward({ inputIds, images: [], positions }, { steps, onToken });
      });
    },
  };
}
