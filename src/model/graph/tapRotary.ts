import { Pass, type TapListener } from '../../gpu/pass.ts';
import type { KvCache } from './kvCache.ts';
import type { ModelParts } from './modelParts.ts';

/** Taps the prompt's cosines and sines on each axis, in the published code's shape: [3, tokens, headDim / 2]. */
export async function tapRotary(
  { gpu, config }: ModelParts,
  { table, positionIds, context }: KvCache,
  tokens: number,
  listener: TapListener,
): Promise<void> {
  const { headDim, rope } = config.llm;
  const axes = rope === 'none' ? 1 : 3;
  const shape = axes === 1 ? [tokens, headDim / 2] : [axes, tokens, headDim / 2];
  const rowsOf = (values: Float32Array) => {
    const rows = new Float32Array((axes * tokens * headDim) / 2);
    for (let axis = 0; axis < axes; axis++) {
      for (let token = 0; token < tokens; token++) {
        const from = ((positionIds[axis * context + token] - table.firstPosition) * headDim) / 2;
        rows.set(values.subarray(from, from + headDim / 2), ((axis * tokens + token) * headDim) / 2);
      }
    }
    return rows;
  };
  const pass = new Pass(gpu, 'rotary', listener);
  pass.tapArray('llm.rotary_cos', () => rowsOf(table.cos), shape);
  pass.tapArray('llm.rotary_sin', () => rowsOf(table.sin), shape);
  await pass.submit();
  await pass.destroy();
}
