/** The vision tower in f16 meets the bounds in docs/MODEL.md, and runs only on GPUs with shader-f16. */
import { describe, expect, it, vi } from 'vitest';
import type { Gpu } from '../src/gpu/device.ts';
import { Pass } from '../src/gpu/pass.ts';
import { freeTensors, readTensor, upload } from '../src/gpu/tensor.ts';
import { kernels } from '../src/kernels/kernelSet.ts';
import { folderFiles } from '../src/model/checkpoint/checkpointFolder.node.ts';
import { readModelConfig } from '../src/model/checkpoint/config.ts';
import { positionTokens } from '../src/model/generation/preparePrompt.ts';
import { positionsFor } from '../src/model/graph/positions.ts';
import { chooseForms, type KernelOptions } from '../src/model/load/forms.ts';
import { type LoadOptions, M2Reasoning } from '../src/model/m2Reasoning.ts';
import { sharedGpu } from './sharedGpu.ts';
import { examples, messagesOf, tiny } from './tinyExamples.ts';

const gpu = await sharedGpu();
const asGpu = await sharedGpu(gpu.maxBindingBytes); // a view of its own
Object.defineProperty(asGpu, 'isSoftware', { value: false });

const hasF16 = gpu.device.features.has('shader-f16');
const FEATURE_ERROR = Math.sqrt(19) * 0.0009; // of the features' length; see docs/MODEL.md, "How far off f16 is"
const HALF = ['rowScales', ...['', 'Add', 'Gate', 'Gelu'].map((ending) => `matmulPanelsHalf${ending}`)];
const example = examples[4];

/** Tokens, the tower's features [merged, outHiddenSize], and the kernels that ran. */
async function run(onGpu: Gpu, options: LoadOptions, steps: number) {
  const model = await M2Reasoning.load(tiny, { gpu: onGpu, ...options });
  const { inputIds, images } = await model.prepare(messagesOf(example));
  const positions = positionsFor('m_rope', inputIds, images, positionTokens(model), 'reference');
  let features = new Float32Array();
  const ran = new Set<string>();
  const tokens = await model.forward(
    { inputIds, images, positions },
    {
      steps,
      tap: async (name, tensor) => {
        if (name === 'vision.output')
          features = (await readTensor(onGpu, tensor)) as Float32Array<ArrayBuffer>;
      },
      onPass: async (pass: Pass) => {
        for (const step of await pass.prepared())
          if (step.kind === 'dispatch') ran.add(step.call.declaration.name);
      },
    },
  );
  await model.destroy();
  return { tokens, features, ran: [...ran] };
}

describe(`the vision tower with precision 'fast', on ${gpu.description}`, () => {
  it('runs in f16 only on a GPU with shader-f16', async () => {
    const { ran } = await run(gpu, { precision: 'fast' }, 1);
    const expected = !gpu.isSoftware && hasF16 ? HALF : [];
    expect(ran.filter((name) => HALF.includes(name)).sort()).toEqual([...expected].sort());
  });

  if (hasF16) {
    it("gives features within the stated bound, and the reference's tokens", async () => {
      const steps = 4;
      const exact = await run(gpu, {}, 1);
      const fast = await run(asGpu, { precision: 'fast' }, steps);
      expect(fast.ran).toEqual(expect.arrayContaining(HALF));
      expect(exact.ran.filter((name) => HALF.includes(name))).toEqual([]);
      expect(fast.tokens).toEqual(example.output_ids.slice(0, steps));

      const difference = fast.features.map((value, i) => value - exact.features[i]);
      const error = Math.hypot(...difference) / Math.hypot(...exact.features);
      expect(error).toBeGreaterThan(1e-5); // it is another arithmetic
      expect(error).toBeLessThan(FEATURE_ERROR);
    });
  }
});

describe('f16 in the vision tower is chosen', async () => {
  const config = await readModelConfig(folderFiles(tiny));

  /** The kernels of a linear layer of the tower on 16 rows; they are recorded, not run. */
  async function chosen(isSoftware: boolean, features: readonly string[], options: KernelOptions) {
    const adapter: Gpu = Object.create(gpu, {
      isSoftware: { value: isSoftware },
      device: { value: { features: new Set(features) } },
    });
    const forms = chooseForms(adapter, config, options);
    const { linearLayout: layout } = forms;
    const weight = upload(gpu, new Float32Array(64), [8, 8], 'weight', 'f32', layout);
    const bias = upload(gpu, new Float32Array(8), [8], 'bias');
    const x = upload(gpu, new Float32Array(128), [16, 8], 'x');
    const pass = new Pass(gpu, 'chosen');
    const dispatch = vi.spyOn(pass, 'dispatch');
    const layer = await forms.visionLinear({ weight, bias }, null as never);
    for (const ending of ['store', 'gate', 'gelu'] as const) layer.forRows(16)[ending](pass, x);
    await pass.destroy();
    await freeTensors(gpu, [weight, bias, x]);
    const ran = dispatch.mock.calls.map(([{ name }]) => name);
    return { inHalf: ran.some((name) => name.startsWith('matmulPanelsHalf')), notes: forms.notes() };
  }
  const fast = { precision: 'fast' } as const;

  it('with precision fast on a GPU with shader-f16; otherwise silently not', async () => {
    expect(await chosen(false, ['shader-f16'], fast)).toEqual({ inHalf: true, notes: [] });
    expect(await chosen(false, ['shader-f16'], {})).toEqual({ inHalf: false, notes: [] });
    expect(await chosen(true, ['shader-f16'], fast)).toEqual({ inHalf: false, notes: [] });
    expect(await chosen(false, ['subgroups'], fast)).toEqual({ inHalf: false, notes: [] });
  });

  it.each(['matmul', 'matmulPanels', 'matmulPanelsGelu'] as const)(
    'not if the user has replaced %s',
    async (name) => {
      const own = { [name]: kernels[name] };
      const { inHalf, notes } = await chosen(false, ['shader-f16'], { ...fast, kernels: own });
      expect(inHalf).toBe(false);
      expect(notes[0]).toContain(`${name} is your own`);
    },
  );
});
