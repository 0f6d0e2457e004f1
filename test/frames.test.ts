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
/** The size that A has as a picture; a clip would enlarge it. */
const size = { resizedHeight: 112, resizedWidth: 140 };
const A = `${tiny}examples/${example.image}`;
/** Another picture of A's size. */
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
  it('is, to patches and ids, the picture', async () => {
    const once = await model.prepare(asking(picture(A)));
    const twice = await model.prepare(asking(clip([A, A])));
    expect(once.inputIds).toEqual(example.input_ids);
    expect(twice.inputIds).toEqual(once.inputIds);
    expect(twice.images[0].gridThw).toEqual([1, 8, 10]);
    expect(twice.images[0].pixelValues).toEqual(once.images[0].pixelValues);
  });

  it('gets the answer that the reference gives about the picture', async () => {
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

  it('has the image features of its two pictures: the vision tower looks at each step of time alone', async () => {
    const ofClip = await featuresOf(asking(clip([A, A, B, B])));
    expect(ofClip).toHaveLength(2 * 20 * model.config.llm.hiddenSize);
    expect(ofClip).toEqual(await featuresOf(asking(picture(A), picture(B))));
  });

  it('is generated from with the positions of positionsFor, seconds included', async () => {
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
    // A minute between the pairs is no second: were the seconds lost on the way, the answers would be the same.
    expect(answers[2]).not.toEqual(answers[1]);
  });

  it('takes part in a beam search', async () => {
    const messages = asking(clip([A, A, B, B]));
    const { tokens } = await model.generate(messages, { numBeams: 2, maxNewTokens: 4, quirks: 'fixed' })
      .result;
    expect(tokens.length).toBeGreaterThan(0);
  });
});
