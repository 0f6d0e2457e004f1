/** Fast and plain kernels give the same answers; a kernel of the caller's own is always the one that runs. */
import { afterAll, describe, expect, it } from 'vitest';
import { openGpu } from '../src/gpu/device.ts';
import type { Kernel } from '../src/gpu/kernel.ts';
import { type KernelSet, kernels } from '../src/kernels/index.ts';
import { chooseKernels } from '../src/model/load/kernelChoice.ts';
import { M2Reasoning } from '../src/model/m2Reasoning.ts';
import { examples, messagesOf, tiny } from './tinyExamples.ts';

const gpu = await openGpu();
afterAll(() => gpu.destroy());

const where = examples[4];

async function tokensWith(options: Parameters<typeof M2Reasoning.load>[1]) {
  const model = await M2Reasoning.load(tiny, { gpu, ...options });
  const { tokens } = await model.generate(messagesOf(where), { maxNewTokens: 4 }).result;
  const { warnings } = model;
  await model.destroy();
  return { tokens, warnings };
}

describe(`kernel sets, on ${gpu.description}`, () => {
  it.each(['fast', 'plain'] as const)('%s: the tokens of the reference', async (kernelSet) => {
    expect(await tokensWith({ kernelSet })).toEqual({ tokens: where.output_ids.slice(0, 4), warnings: [] });
  });

  it.each([
    ['kernelSet', { kernelSet: 'quick' }, 'INPUT_RANGE'],
    ['precision', { precision: 'half' }, 'INPUT_RANGE'],
    ['kernels.rmsnorm', { kernels: { rmsnorm: kernels.rmsNorm } }, 'INPUT_RANGE'],
    ['kernels.toString', { kernels: { toString: kernels.rmsNorm } }, 'INPUT_RANGE'],
    ['kernels.rmsNorm', { kernels: { rmsNorm: 'fn main() {}' } }, 'INPUT_TYPE'],
  ])('refuses %s of %j', async (field, options, code) => {
    await expect(M2Reasoning.load(tiny, { gpu, ...options } as never)).rejects.toMatchObject({
      name: 'InputError',
      code,
      details: { field },
    });
  });

  it('a replaced kernel is dispatched, and the fast one in its place is not: every plain kernel', () => {
    const dispatched = ['add', 'causalAttention', 'decodeAttention', 'embed', 'gemv', 'mRope', 'matmul'];
    for (const name of [
      ...dispatched,
      'gelu',
      'siluGate',
      'visionAttention',
      'writeKv',
    ] as (keyof KernelSet)[]) {
      const own = { [name]: (kernels[name] as unknown as Kernel).variant({ name: 'mine' }) };
      const { kernels: chosen, notes } = chooseKernels(gpu, { kernels: own });
      expect(chosen[name]).toBe(own[name]);
      expect(notes.some((note) => note.startsWith(`${name} is your own`))).toBe(true);
    }
  });

  it.each([
    ['add', 1],
    ['decodeAttention', 2],
    ['gemv', 1],
    ['rmsNorm', 0],
    ['visionAttention', 1],
  ] as const)(
    'with its own %s the model gives the same tokens, and runs it: %d fast ones give way',
    async (name, givingWay) => {
      let calls = 0;
      const { dispatch } = (kernels[name] as unknown as Kernel).declaration;
      const mine = (kernels[name] as unknown as Kernel).variant({
        name: 'mine',
        dispatch: (...sizes) => {
          calls++;
          return dispatch(...sizes);
        },
      });
      const { tokens, warnings } = await tokensWith({ kernels: { [name]: mine } });
      expect(tokens).toEqual(where.output_ids.slice(0, 4));
      expect(calls).toBeGreaterThan(0);
      expect(warnings).toHaveLength(givingWay);
      expect(warnings).toEqual(warnings.map(() => expect.stringContaining(`${name} is your own`)));
    },
  );
});
