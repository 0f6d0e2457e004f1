// @ts-check
// Makes a variant of a kernel, checks it, and runs the bundled model with it: the answer stays the same.
// Run: npm run build && node examples/04-replace-a-kernel.js
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { checkKernel, kernels, M2Reasoning, openGpu } from 'm2-reasoning';

const wide = kernels.rmsNorm.variant({ name: 'rmsNorm/wide', constants: { WORKGROUP_SIZE: 128 } });

const gpu = await openGpu();
try {
  console.table(await checkKernel(gpu, wide), ['case', 'maxRel', 'ok']);

  const folder = new URL('../weights/m2-tiny/', import.meta.url);
  const examples = JSON.parse(await readFile(new URL('examples/examples.json', folder), 'utf8'));
  const example = examples[4]; // 05-where-palette.png
  const image = await readFile(new URL(`examples/${example.image}`, folder));
  const model = await M2Reasoning.load(fileURLToPath(folder), { gpu, kernels: { rmsNorm: wide } });
  const { result } = model.generate([
    {
      role: 'user',
      content: [
        { type: 'image', image },
        { type: 'text', text: example.question },
      ],
    },
  ]);
  const { text } = await result;
  console.log(text);
  console.log(`\nsame text as the published code: ${text === example.reference_output}`);
  await model.destroy();
} finally {
  gpu.destroy();
}
