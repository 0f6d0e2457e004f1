/** The decoder in 8-bit integers meets the bounds in docs/MODEL.md, not the goldens. */
import { describe, expect, it } from 'vitest';
import type { Gpu } from '../src/gpu/device.ts';
import type { Pass } from '../src/gpu/pass.ts';
import { readTensor } from '../src/gpu/tensor.ts';
import { KernelLookup } from '../src/model/fast/kernelLookup.ts';
import { positionTokens } from '../src/model/generation/preparePrompt.ts';
import { positionsFor } from '../src/model/graph/positions.ts';
import { type LoadOptions, M2Reasoning } from '../src/model/m2Reasoning.ts';
import { livingBuffers } from './livingBuffers.ts';
import { sharedGpu } from './sharedGpu.ts';
import { examples, messagesOf, tiny } from './tinyExamples.ts';

const gpu = await sharedGpu();

const MEAN_ERROR = Math.sqrt(20) * 0.008; // of the logits' length; see docs/MODEL.md, "How far off 8-bit integers are"
const example = examples[4];
const hasQuads = gpu.isSoftware && gpu.device.features.has('subgroups');
const manyRows = hasQuads ? 'matmulInt8Quad' : 'matmulInt8';

/** Tokens, logits [vocabSize] of each, and the kernels that ran. */
async function run(
  onGpu: Gpu,
  options: LoadOptions,
  steps: number,
  question: 'picture' | 'text' = 'picture',
) {
  const model = await M2Reasoning.load(tiny, { gpu: onGpu, ...options });
  const { warnings } = model;
  const messages = question === 'text' ? [{ role: 'user', content: 'Hi' } as const] : messagesOf(example);
  const { inputIds, images } = await model.prepare(messages);
  const positions = positionsFor('m_rope', inputIds, images, positionTokens(model), 'reference');
  const logits: Float32Array[] = [];
  const ran = new Set<string>();
  const tokens = await model.forward(
    { inputIds, images, positions },
    {
      steps,
      tap: async (name, tensor) => {
        if (name === 'logits.steps') logits.push((await readTensor(onGpu, tensor)) as Float32Array);
      },
      onPass: async (pass: Pass) => {
        for (const step of await pass.prepared())
          if (step.kind === 'dispatch') ran.add(step.call.declaration.name);
      },
    },
  );
  await model.destroy();
  return { tokens, logits, ran, warnings };
}

describe(`precision 'fast', on ${gpu.description}`, () => {
  it('gives the tokens of the reference, and logits within the stated bound', async () => {
    const steps = 8;
    const exact = await run(gpu, {}, steps);
    const fast = await run(gpu, { precision: 'fast' }, steps);
    expect(fast.tokens).toEqual(example.output_ids.slice(0, steps));
    const errors = fast.logits.map((logits, step) => {
      const difference = logits.map((value, i) => value - exact.logits[step][i]);
      return Math.hypot(...difference) / Math.hypot(...exact.logits[step]);
    });
    expect(Math.min(...errors)).toBeGreaterThan(1e-5); // it is another arithmetic
    expect(errors.reduce((sum, error) => sum + error, 0) / steps).toBeLessThan(MEAN_ERROR);

    const forms = ['gemvInt8', manyRows].flatMap((name) => [name, `${name}Add`, `${name}Gate`]);
    expect([...fast.ran].filter((name) => name.includes('Int8')).sort()).toEqual(forms.sort());
    expect([...exact.ran].filter((name) => name.includes('Int8'))).toEqual([]);
  });

  it.each([8, 9])('runs %d rows with quads only if that is faster', (rows) => {
    const { declaration } = new KernelLookup(gpu, {}, null).find('matmulInt8', rows);
    expect(declaration.name).toBe(rows > 8 ? manyRows : 'matmulInt8');
  });

  it('keeps a weight as stored if its integers exceed a binding, and frees all tensors', async () => {
    const small = await sharedGpu(2 ** 17); // gate and up have 1.5 times as many bytes in 8 bits
    let ran = new Set<string>();
    const living = await livingBuffers(small, async () => {
      ({ ran } = await run(small, { precision: 'fast' }, 2, 'text'));
    });
    expect([...ran]).toEqual(expect.arrayContaining(['gemvInt8', 'gemvInt8Add', 'gemvPanelsGate']));
    expect(ran.has('gemvInt8Gate')).toBe(false);
    expect(living).toBe(0);
  });

  it('has no effect without the fast kernels, and says so', async () => {
    const { ran, warnings } = await run(gpu, { precision: 'fast', kernelSet: 'plain' }, 1, 'text');
    expect(warnings).toEqual([expect.stringContaining("precision 'fast' has no effect")]);
    expect([...ran].filter((name) => name.includes('Int8'))).toEqual([]);
  });
});
