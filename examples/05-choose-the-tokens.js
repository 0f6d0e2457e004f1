// @ts-check
// Lets the model reason freely, then forces its answer to be A, B, C or D: a logits processor bans all other tokens.
// Run: npm run build && node examples/05-choose-the-tokens.js
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { M2Reasoning } from 'm2-reasoning';

const folder = new URL('../weights/m2-tiny/', import.meta.url);
const examples = JSON.parse(await readFile(new URL('examples/examples.json', folder), 'utf8'));
const { system, image, question } = examples[1]; // 02-relation.png: A. above or B. below?

const model = await M2Reasoning.load(fileURLToPath(folder));
try {
  const { tokenizer } = model.processor;
  const boxes = ['A', 'B', 'C', 'D'].map((letter) => tokenizer.encode(`\\boxed{${letter}`));
  const opening = boxes[0].slice(0, -1); // the tokens before the letter
  const letters = boxes.map((ids) => ids[ids.length - 1]);

  /** @type {import('m2-reasoning').LogitsProcessor} */
  const oneLetter = (logits, { answerIds }) => {
    if (answerIds.slice(-opening.length).join() !== opening.join()) return;
    for (let id = 0; id < logits.length; id++) if (!letters.includes(id)) logits[id] = -Infinity;
    const total = letters.reduce((sum, id) => sum + Math.exp(logits[id]), 0);
    const chances = letters.map(
      (id) => `${tokenizer.decode([id])} ${(Math.exp(logits[id]) / total).toFixed(4)}`,
    );
    console.log(`of the four: ${chances.join(', ')}`);
  };

  console.log(question);
  const picture = fileURLToPath(new URL(`examples/${image}`, folder));
  const { text, boxed } = await model.generate(
    [
      { role: 'system', content: system }, // asks for <think> and <answer>
      {
        role: 'user',
        content: [
          { type: 'image', image: picture },
          { type: 'text', text: question },
        ],
      },
    ],
    { logitsProcessor: oneLetter },
  ).result;
  console.log(`${text}\n\nboxed: ${boxed}`);
} finally {
  await model.destroy();
}
