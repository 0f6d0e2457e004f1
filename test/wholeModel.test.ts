/** examples/00-the-whole-model.js gives the library's tokens with fewer than 300 lines on the plain kernels. */
import { readFileSync } from 'node:fs';
import { M2Reasoning, openGpu } from 'm2-reasoning';
import { afterAll, describe, expect, it } from 'vitest';
import { generate, load, readInputs } from '../examples/00-the-whole-model.js';
import { plainKernels } from '../src/kernels/plain/plainKernels.ts';
import { examples, messagesOf, tiny } from './tinyExamples.ts';

const goldens = new URL('goldens/', import.meta.url).pathname;
const gpu = await openGpu();
afterAll(() => gpu.destroy());

describe(`the tokens, on ${gpu.description}`, () => {
  // An image slightly wider than a window, one whose alpha is dropped, and one that is resized.
  it.each([examples[0], examples[2], examples[5]])('m2-tiny, $image', async (example) => {
    const { image, question, system, input_ids, output_ids } = example;
    const model = await load(gpu, tiny);
    const inputs = await readInputs(model, `${tiny}examples/${image}`, question, system ?? '');
    expect(inputs.ids).toEqual(input_ids);
    const tokens: number[] = [];
    for await (const id of generate(model, inputs)) tokens.push(id);
    expect(tokens).toEqual(output_ids);

    const library = await M2Reasoning.load(tiny, { gpu });
    expect(tokens).toEqual((await library.generate(messagesOf(example)).result).tokens);
    await library.destroy();
  });

  // Six windows, and four. Random weights reveal mix-ups that m2-tiny's answers may hide.
  it.each(['wide-300x150.png', 'square-224.png'])('random weights, %s', async (name) => {
    const folder = `${goldens}checkpoints/mrope-bf16`;
    const image = `${goldens}images/${name}`;
    const [question, system, maxNewTokens] = ['Find the sum of each row.', 'Be brief.', 24];
    const library = await M2Reasoning.load(folder, { gpu, kernelSet: 'plain' });
    const content = [
      { type: 'image' as const, image },
      { type: 'text' as const, text: question },
    ];
    const messages = [
      { role: 'system' as const, content: system },
      { role: 'user' as const, content },
    ];
    const expected = (await library.generate(messages, { maxNewTokens }).result).tokens;
    await library.destroy();

    const model = await load(gpu, folder);
    const tokens: number[] = [];
    for await (const id of generate(model, await readInputs(model, image, question, system))) {
      if (tokens.push(id) === expected.length) break;
    }
    expect(tokens).toEqual(expected);
  });
});

describe('the file', () => {
  const source = readFileSync(new URL('../examples/00-the-whole-model.js', import.meta.url), 'utf8');

  it('has fewer than 300 lines', () => {
    expect(source.trimEnd().split('\n').length).toBeLessThan(300);
  });

  it("takes no part of the model from the library, only plain kernels, file readers, tables and the processor's steps", () => {
    const allowed = {
      gpu: ['openGpu', 'Pass', 'readTensor', 'reshape', 'upload', 'zeros', 'kernels'],
      files: ['Checkpoint', 'folderFiles', 'parseImageProcessorConfig', 'parseModelConfig'],
      processor: ['extractPatches', 'loadImage', 'resizeBicubic', 'smartResize', 'Tokenizer', 'TokenStream'],
      tables: ['positionsFor', 'axisOfFrequency', 'llmRotaryTable'],
      visionTables: ['inversePermutation', 'visionRotaryAngles', 'windowLayout'],
    };
    const imports = [...source.matchAll(/^import \{([^}]*)\} from 'm2-reasoning(?:\/node)?';$/gm)];
    expect(imports.length).toBe(source.match(/^import .*m2-reasoning/gm)?.length);
    expect(namesIn(imports).sort()).toEqual(Object.values(allowed).flat().sort());

    const called = namesIn([...source.matchAll(/^const \{([^}]*)\} = kernels;$/gm)]);
    expect(called.sort()).toEqual([...Object.keys(plainKernels), 'argmax'].sort());
    expect(source).not.toMatch(/\bkernels[.[]\w/);
  });
});

/** The names between the matched braces. */
function namesIn(braces: readonly RegExpMatchArray[]): string[] {
  return braces.flatMap(([, names]) => names.split(',').map((name) => name.trim()));
}
