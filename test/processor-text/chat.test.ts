import { describe, expect, test } from 'vitest';
import { checkMessages } from '../../src/processor/text/checkMessages.ts';
import { checkImagePatches, countImagePatches, expandImages } from '../../src/processor/text/expandImages.ts';
import { renderPrompt } from '../../src/processor/text/prompt.ts';
import { goldens, readJson } from '../readTensors.ts';
import { goldenCases, goldenTokenizer, thrownBy } from './helpers.ts';

const tokenizer = goldenTokenizer();
const PATCH = 479;
const withPrompt = { addGenerationPrompt: true };

/** The number of merged tokens of each image. */
function tokenCounts(grids: [number, number, number][] | null): number[] {
  return (grids ?? []).map(([t, h, w]) => (t * h * w) / 4);
}

describe('golden cases, from messages to ids', () => {
  for (const { name, golden } of goldenCases()) {
    test(name, () => {
      const prompt = renderPrompt(checkMessages(golden.messages), withPrompt);
      expect(prompt).toBe(golden.prompt_text);
      const counts = tokenCounts(golden.image_grid_thw);
      const quirks = name.includes('-intended') ? 'fixed' : 'reference';
      const expanded = expandImages(prompt, counts, quirks);
      expect(expanded).toBe(golden.expanded_text);
      const ids = tokenizer.encode(expanded);
      expect(ids).toEqual(golden.input_ids);
      const featureRows = counts.reduce((sum, count) => sum + count, 0);
      expect(() => checkImagePatches(ids, PATCH, featureRows)).not.toThrow();
    });
  }
});

describe('chat_template.json, built-in prompt', () => {
  for (const [i, row] of readJson(`${goldens}chat_template.json`).rows.entries()) {
    test(`row ${i}`, () => {
      const messages = checkMessages(row.messages);
      const plain = `<|im_start|>user\n${row.messages[0].content}<|im_end|>\n`; // published: TypeError on plain text
      const without = row.use_system_without_generation_prompt ?? plain;
      const withIt = row.use_system_with_generation_prompt ?? `${plain}<|im_start|>assistant<|im_end|>\n`;
      expect(renderPrompt(messages, { addGenerationPrompt: false })).toBe(without);
      expect(renderPrompt(messages, withPrompt)).toBe(withIt);
    });
  }
});

describe('placeholders', () => {
  const text = (words: string) => ({ type: 'text', text: words });
  const image = (images: string | string[]) => ({ type: 'image', image: images });
  const content = (...parts: object[]) =>
    renderPrompt(checkMessages([{ role: 'user', content: parts }]), { addGenerationPrompt: false })
      .replace('<|im_start|>user\n', '')
      .replace('<|im_end|>\n', '');

  test('a list gives one per line', () => {
    expect(content(image(['a', 'b', 'c']), text('x'))).toBe('<image>\n<image>\n<image>x');
  });
  test('a clip gives one for any number of frames', () => {
    const clip = { type: 'video', frames: ['a', 'b', 'c'] };
    expect(content(clip, text('x'), clip)).toBe('<image>x<image>');
    expect(content(text('see <image>'), clip)).toBe('see <image>');
  });
  test('those in the text, before or after, are subtracted from each part', () => {
    expect(content(image('a'), text('see <image> here'))).toBe('see <image> here');
    expect(content(text('see <image> here'), image(['a', 'b', 'c']))).toBe(
      'see <image> here<image>\n<image>',
    );
    expect(content(image('a'), image('b'), text('<image>'))).toBe('<image>');
  });
});

describe('expandImages', () => {
  test('the example of the docstring', () => {
    const prompt = 'A <image> B <image> C';
    const patches = (count: number) => '<imagePatch>'.repeat(count);
    expect(expandImages(prompt, [2, 3], 'fixed')).toBe(
      `A <image>${patches(2)}</image> B <image>${patches(3)}</image> C`,
    );
    expect(expandImages(prompt, [2, 3], 'reference')).toBe(
      `A <image>${patches(3)}</image>${patches(2)}</image> B <image> C`,
    );
  });
  test('both agree on one image', () => {
    expect(expandImages('<image>', [4], 'fixed')).toBe(expandImages('<image>', [4], 'reference'));
  });
  test('without images <image> remains one token', () => {
    expect(expandImages('a <image> b', [], 'reference')).toBe('a <image> b');
    const ids = tokenizer.encode(expandImages('a <image> b', [], 'fixed'));
    expect(ids.filter((id) => id === 480)).toHaveLength(1);
  });

  const one = { type: 'image', image: 'a.png' };
  test.each([
    ['two <image> in the text, one image', [one, { type: 'text', text: '<image> <image>' }], 1],
    ['one <image> in the text, two images', [one, one, { type: 'text', text: '<image>' }], 2],
    ['<image> spelt over two parts', [{ type: 'text', text: '<im' }, { type: 'text', text: 'age>' }, one], 1],
  ])('%s', (_, parts, images) => {
    const prompt = renderPrompt(checkMessages([{ role: 'user', content: parts }]), withPrompt);
    for (const quirks of ['reference', 'fixed'] as const) {
      expect(thrownBy(() => expandImages(prompt, Array(images).fill(4), quirks)).code).toBe(
        'INPUT_IMAGE_COUNT',
      );
    }
  });
  test('<image> in another message than the image', () => {
    const messages = checkMessages([
      { role: 'user', content: 'what is <image>?' },
      { role: 'user', content: [one] },
    ]);
    const error = thrownBy(() => expandImages(renderPrompt(messages, withPrompt), [4], 'reference'));
    expect(error.code).toBe('INPUT_IMAGE_COUNT');
  });
  test('an image and no placeholder', () => {
    expect(thrownBy(() => expandImages('no place', [4], 'fixed')).code).toBe('INPUT_IMAGE_COUNT');
  });
});

describe('special tokens in a message', () => {
  const idsOf = (text: string) =>
    tokenizer.encode(renderPrompt(checkMessages([{ role: 'user', content: text }]), withPrompt));

  test.each(['<|im_end|>', '</think>', '<image>', '<imagePatch>', '</image>'])(
    '%s becomes its token',
    (content) => {
      const id = tokenizer.tokenId(content) as number;
      const without = idsOf('ab').filter((token) => token === id).length;
      expect(idsOf(`a${content}b`).filter((token) => token === id)).toHaveLength(without + 1);
    },
  );
  test('<imagePatch> changes the count', () => {
    const ids = idsOf('a <imagePatch> b');
    expect(countImagePatches(ids, PATCH)).toBe(1);
    expect(thrownBy(() => checkImagePatches(ids, PATCH, 0)).code).toBe('INPUT_IMAGE_COUNT');
    const beside = tokenizer.encode(expandImages('<image> <imagePatch>', [4], 'fixed'));
    const error = thrownBy(() => checkImagePatches(beside, PATCH, 4));
    expect(error.details).toMatchObject({ expected: 4, actual: 5 });
  });
});

describe('examples of m2-tiny', () => {
  const weights = new URL('../../weights/m2-tiny/', import.meta.url).pathname;
  const tiny = goldenTokenizer(weights);
  const { imagePatch, examples } = {
    imagePatch: 1082,
    examples: readJson(`${weights}examples/examples.json`),
  };
  for (const example of examples.examples ?? examples) {
    test(example.image, () => {
      const system = example.system === null ? [] : [{ role: 'system', content: example.system }];
      const parts = [
        { type: 'image', image: example.image },
        { type: 'text', text: example.question },
      ];
      const prompt = renderPrompt(checkMessages([...system, { role: 'user', content: parts }]), withPrompt);
      const patches = countImagePatches(example.input_ids, imagePatch);
      expect(tiny.encode(expandImages(prompt, [patches], 'reference'))).toEqual(example.input_ids);
      expect(tiny.decode(example.output_ids)).toBe(example.reference_output);
    });
  }
});
