// @ts-check
// Runs one prompt and lists every stage, from the patches to the logits (docs/MODEL.md, section 8).
// Run: npm run build && node examples/02-look-inside.js
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { M2Reasoning, positionsFor, readTensor } from 'm2-reasoning';

const folder = new URL('../weights/m2-tiny/', import.meta.url);
const [example] = JSON.parse(await readFile(new URL('examples/examples.json', folder), 'utf8')); // 01-count.png
const picture = fileURLToPath(new URL(`examples/${example.image}`, folder));

const model = await M2Reasoning.load(fileURLToPath(folder));
try {
  const { inputIds, images } = await model.prepare([
    {
      role: 'user',
      content: [
        { type: 'image', image: picture },
        { type: 'text', text: example.question },
      ],
    },
  ]);
  const { llm, vision } = model.config;
  const tokens = { ...llm, spatialMergeSize: vision.spatialMergeSize };
  const positions = positionsFor(llm.rope, inputIds, images, tokens, 'reference');

  const [token] = await model.forward(
    { inputIds, images, positions },
    {
      tap: async (name, tensor) => {
        const values = await readTensor(model.gpu, tensor);
        let largest = 0;
        for (const value of values) largest = Math.max(largest, Math.abs(value));
        console.log(`${name.padEnd(24)}${`[${tensor.shape.join(', ')}]`.padEnd(18)}${largest.toFixed(4)}`);
      },
    },
  );
  console.log(`\nfirst token: ${token} ${JSON.stringify(model.processor.tokenizer.decode([token]))}`);
} finally {
  await model.destroy();
}
