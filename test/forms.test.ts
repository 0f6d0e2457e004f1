/** Fast and plain forms give the same answers. A user's kernel runs, or loading says why not. */
import { describe, expect, it } from 'vitest';
import {
  defineKernel,
  type Gpu,
  type Kernel,
  kernels,
  readTensor,
  type Tensor,
  weights,
  write,
} from '../src/index.ts';
import { choosingKernels } from '../src/kernels/choose/choosingKernels.ts';
import { fastKernels } from '../src/kernels/fast/fastKernels.ts';
import { positionTokens } from '../src/model/generation/preparePrompt.ts';
import { positionsFor } from '../src/model/graph/positions.ts';
import { type LoadOptions, M2Reasoning } from '../src/model/m2Reasoning.ts';
import { lacksF16 } from './lacksF16.ts';
import { sharedGpu } from './sharedGpu.ts';
import { examples, messagesOf, tiny } from './tinyExamples.ts';

const gpu = await sharedGpu();
const asGpu = await sharedGpu(gpu.maxBindingBytes); // the same device, with the forms of a GPU
Object.defineProperty(asGpu, 'isSoftware', { value: false });

const where = examples[4];
const standard = kernels as unknown as Readonly<Record<string, Kernel>>;

async function tokensWith(options: LoadOptions) {
  const model = await M2Reasoning.load(tiny, { gpu, ...options });
  const { tokens } = await model.generate(messagesOf(where), { maxNewTokens: 4 }).result;
  const { warnings } = model;
  await model.destroy();
  return { tokens, warnings };
}

describe(`forms, on ${gpu.description}`, () => {
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

  it.each([
    ['add', 1],
    ['decodeAttention', 1],
    ['gemv', 1],
    ['rmsNorm', 0],
    ['visionAttention', 1],
  ] as const)('a user’s %s runs and gives the same tokens: %d fast forms yield', async (name, givingWay) => {
    let calls = 0;
    const { dispatch } = standard[name].declaration;
    const mine = standard[name].variant({
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
  });
});

describe('a user’s kernel is checked against the contract at load', () => {
  const { declaration } = standard.rmsNorm;
  const { x, weight, out } = declaration.bindings;
  const broken: [string, Partial<typeof declaration>, object][] = [
    ['a binding is missing', { bindings: { x, out } }, { binding: 'weight' }],
    [
      'there is an extra binding',
      { bindings: { x, weight, out, more: write('f32', ['rows']) } },
      { binding: 'more' },
    ],
    [
      'a binding has another access',
      { bindings: { x: weights(['rows', 'dim']), weight, out } },
      { binding: 'x' },
    ],
    [
      'a binding has other axes',
      { bindings: { x, weight: weights(['rows', 'dim']), out } },
      { binding: 'weight' },
    ],
    ['there is an extra param', { params: { eps: 'f32', more: 'f32' } }, { field: 'more' }],
    ['the text binds something else', { code: 'fn main() {}' }, { binding: 'x' }],
  ];
  it.each(broken)('%s', async (_, changes, details) => {
    const mine = defineKernel({ ...declaration, name: 'mine', ...changes } as typeof declaration);
    const loaded: string[] = [];
    const load = M2Reasoning.load(tiny, {
      gpu,
      kernels: { rmsNorm: mine as never },
      onProgress: ({ tensor }) => loaded.push(tensor),
    });
    await expect(load).rejects.toMatchObject({
      name: 'KernelError',
      code: 'KERNEL_INTERFACE',
      details: { kernel: 'mine', ...details },
    });
    expect(loaded).toEqual([]);
  });
});

const picture = {
  width: 56,
  height: 56,
  data: Uint8Array.from({ length: 56 * 56 * 3 }, (_, i) => (i * 7919) % 256),
};

const hi = [{ role: 'user', content: 'Hi' }] as const;

/** The results of a model as text. Together they depend on every kernel that runs. */
const OUTCOMES = {
  /** Logits and tokens of a prompt with an image, and of a decode step. */
  async picture(model: M2Reasoning) {
    const content = [{ type: 'image', image: picture } as const, { type: 'text', text: 'Count.' } as const];
    const { inputIds, images } = await model.prepare([{ role: 'user', content }]);
    const positions = positionsFor('m_rope', inputIds, images, positionTokens(model), 'reference');
    const logits: string[] = [];
    const tap = async (name: string, tensor: Tensor) => {
      if (name === 'logits.steps') logits.push((await readTensor(model.gpu, tensor)).slice(0, 8).join());
    };
    return [logits, await model.forward({ inputIds, images, positions }, { steps: 2, tap })].join('; ');
  },
  /** Tokens chosen with sampling, penalties, bans and beam search. */
  async choosing(model: M2Reasoning) {
    const answers: string[] = [];
    for (const options of [
      { doSample: true, topK: 40, seed: 7 },
      { repetitionPenalty: 100 },
      { noRepeatNgramSize: 1 },
      { numBeams: 2 },
    ]) {
      answers.push((await model.generate(hi, { maxNewTokens: 4, ...options }).result).tokens.join());
    }
    return answers.join('; ');
  },
  async longContext(model: M2Reasoning) {
    return (await model.generate(hi, { maxNewTokens: 3, context: 300 }).result).tokens.join();
  },
};

async function outcome(of: keyof typeof OUTCOMES, onGpu: Gpu, options: LoadOptions) {
  const model = await M2Reasoning.load(tiny, { gpu: onGpu, ...options });
  const { warnings } = model;
  const result = await OUTCOMES[of](model).catch(String); // NaN is an error, and an answer that changed
  await model.destroy();
  return { result, warnings };
}

function outcomeOf(name: string): keyof typeof OUTCOMES {
  if (name in choosingKernels) return 'choosing';
  return ['attendTokenSplits', 'mergeSplits'].includes(name) ? 'longContext' : 'picture';
}

const idleLine = (name: string) => `${name} is your own, but it never runs: it serves `;

describe.each([
  ['the forms of this adapter', gpu, {}, Object.keys(kernels)],
  ["the forms of a GPU, with precision 'fast'", asGpu, { precision: 'fast' }, Object.keys(fastKernels)],
] as const)('with %s', async (_, onGpu, options, names) => {
  const untouched = {
    picture: (await outcome('picture', onGpu, options)).result,
    choosing: (await outcome('choosing', onGpu, options)).result,
    longContext: (await outcome('longContext', onGpu, options)).result,
  };
  expect(Object.values(untouched).join()).not.toContain('Error');

  it.each(names)('a %s that does nothing changes the answer, or is reported at load', async (name) => {
    const of = outcomeOf(name);
    const idle = { name: 'broken', dispatch: () => [0] };
    const own = { [name]: standard[name].variant(idle) };
    if (await lacksF16(onGpu, standard[name].declaration)) {
      const load = M2Reasoning.load(tiny, { gpu: onGpu, ...options, kernels: own });
      await expect(load).rejects.toMatchObject({ code: 'KERNEL_FEATURE' });
      return;
    }
    const { result, warnings } = await outcome(of, onGpu, { ...options, kernels: own });
    const isIdle = warnings.some((line) => line.startsWith(idleLine(name)));
    expect(result === untouched[of]).toBe(isIdle);
  });
});

it('plain forms run no fast kernel, and loading reports each', async () => {
  const names: string[] = [];
  for (const name of Object.keys(fastKernels)) {
    if (!(await lacksF16(gpu, standard[name].declaration))) names.push(name);
  }
  const own = Object.fromEntries(names.map((name) => [name, standard[name]]));
  const { warnings } = await tokensWith({ kernelSet: 'plain', kernels: own });
  expect(warnings).toEqual(names.map((name) => expect.stringContaining(idleLine(name))));
});

it("of two of the user's kernels for the same calls one runs, and loading says which", async () => {
  const { matmulPanels, matmulPanelsTiled, matmulPanelsQuad } = kernels;
  const { warnings } = await tokensWith({ kernels: { matmulPanels, matmulPanelsTiled, matmulPanelsQuad } });
  expect(warnings).toEqual([
    expect.stringMatching(/^matmulPanelsTiled .*; your matmulPanels(Quad)? takes precedence there$/),
  ]);
});
