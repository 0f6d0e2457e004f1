/** Clips through the whole model, on the GPU. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readTensor } from '../src/gpu/tensor.ts';
import { positionTokens } from '../src/model/generation/preparePrompt.ts';
import { positionsFor } from '../src/model/graph/positions.ts';
import { M2Reasoning } from '../src/model/m2Reasoning.ts';
import { type ImageSource, loadImage } from '../src/processor/image/imageSource.ts';
import { resizeBicubic } from '../src/processor/resize.ts';
import type { Message, Part } from '../src/processor/text/messages.ts';
import { readJson } from './readTensors.ts';
import { sharedGpu } from './sharedGpu.ts';

const tiny = new URL('../weights/m2-tiny/', import.meta.url).pathname;
const [example, other] = readJson(`${tiny}examples/examples.json`);
/** The size that A has as an image; a clip would enlarge it. */
const size = { resizedHeight: 112, resizedWidth: 140 };
const A = `${tiny}examples/${example.image}`;
/** Another image of A's size. */
const B = resizeBicubic(await loadImage(`${tiny}examples/${other.image}`, 'B'), 112, 140);

const gpu = await sharedGpu();
let model: M2Reasoning;
beforeAll(async () => {
  model = await M2Reasoning.load(tiny, { gpu });
});
afterAll(() => model.destroy());

function asking(...parts: Part[]): Message[] {
  return [
    { role: 'system', content: example.system },
    { role: 'user', content: [...parts, { type: 'text', text: example.question }] },
  ];
}

const picture = (image: ImageSource): Part => ({ type: 'image', image });
const clip = (frames: ImageSource[], secondsPerGrid?: number): Part => ({
  type: 'video',
  frames,
  secondsPerGrid,
  ...size,
});

describe('a clip of two equal frames', () => {
  it('has the same patches and ids as the image', async () => {
    const once = await model.prepare(asking(picture(A)));
    const twice = await model.prepare(asking(clip([A, A])));
    expect(once.inputIds).toEqual(example.input_ids);
    expect(twice.inputIds).toEqual(once.inputIds);
    expect(twice.images[0].gridThw).toEqual([1, 8, 10]);
    expect(twice.images[0].pixelValues).toEqual(once.images[0].pixelValues);
  });

  it("gets the reference's answer for the image", async () => {
    const { tokens, warnings } = await model.generate(asking(clip([A, A]))).result;
    expect(tokens).toEqual(example.output_ids);
    expect(warnings).toEqual([]);
  });
});

describe('a clip of two temporal patches', () => {
  async function inputsOf(messages: Message[]) {
    const { inputIds, images } = await model.prepare(messages, { quirks: 'fixed' });
    const positions = positionsFor(model.config.llm.rope, inputIds, images, positionTokens(model), 'fixed');
    return { inputIds, images, positions };
  }

  async function featuresOf(messages: Message[]): Promise<number[]> {
    const features: number[] = [];
    await model.forward(await inputsOf(messages), {
      tap: async (name, tensor) => {
        if (name === 'image_embeds') features.push(...(await readTensor(gpu, tensor)));
      },
    });
    return features;
  }

  it('has the features of its two images: the vision tower handles each step of time separately', async () => {
    const ofClip = await featuresOf(asking(clip([A, A, B, B])));
    expect(ofClip).toHaveLength(2 * 20 * model.config.llm.hiddenSize);
    expect(ofClip).toEqual(await featuresOf(asking(picture(A), picture(B))));
  });

  it('uses the positions of positionsFor for generation, seconds included', async () => {
    const answers: (readonly number[])[] = [];
    for (const seconds of [undefined, 1, 60]) {
      const messages = asking(clip([A, A, B, B], seconds));
      const inputs = await inputsOf(messages);
      expect(inputs.images[0].gridThw).toEqual([2, 8, 10]);
      expect(inputs.inputIds.length).toBe(example.input_ids.length + 20);
      const { tokens } = await model.generate(messages, { maxNewTokens: 8 }).result;
      expect(tokens).toEqual(await model.forward(inputs, { steps: tokens.length }));
      answers.push(tokens);
    }
    // Were the seconds lost on the way, a minute between the pairs would give the same answer as a second.
    expect(answers[2]).not.toEqual(answers[1]);
  });

  it('works with beam search', async () => {
    const messages = asking(clip([A, A, B, B]));
    const { tokens } = await model.generate(messages, { numBeams: 2, maxNewTokens: 4, quirks: 'fixed' })
      .result;
    expect(tokens.length).toBeGreaterThan(0);
  });
});
