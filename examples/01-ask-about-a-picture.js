// @ts-check
// Asks the bundled model about one of its example images and streams the answer.
// Run: npm run build && node examples/01-ask-about-a-picture.js
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { M2Reasoning } from 'm2-reasoning';

const folder = new URL('../weights/m2-tiny/', import.meta.url);
const [example] = JSON.parse(await readFile(new URL('examples/examples.json', folder), 'utf8')); // 01-count.png
const picture = fileURLToPath(new URL(`examples/${example.image}`, folder));

const model = await M2Reasoning.load(fileURLToPath(folder));
try {
  console.log(`${example.image}: ${example.question}\n`);
  const stream = model.generate([
    { role: 'system', content: example.system }, // asks for <think> and <answer>
    {
      role: 'user',
      content: [
        { type: 'image', image: picture },
        { type: 'text', text: example.question },
      ],
    },
  ]);
  for await (const piece of stream) process.stdout.write(piece);
  const { boxed } = await stream.result;
  console.log(`\n\nboxed: ${boxed}`);
} finally {
  await model.destroy(); // also destroys the device, so that the process can exit
}
