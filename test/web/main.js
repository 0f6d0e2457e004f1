// @ts-check
// The page of package.test.ts: asks the bundled model about its first example image, and reports the results to the test.
import { M2Reasoning, urlFiles } from 'm2-reasoning';

/** @param {string} name */
const exampleFile = async (name) => (await fetch(`m2-tiny/examples/${name}`)).bytes();
/** @type {{ image: string, system: string, question: string }[]} */
const examples = JSON.parse(new TextDecoder().decode(await exampleFile('examples.json')));
const [{ image, system, question }] = examples;

const model = await M2Reasoning.load(urlFiles('m2-tiny'));
const stream = model.generate([
  { role: 'system', content: system },
  {
    role: 'user',
    content: [
      { type: 'image', image: await exampleFile(image) },
      { type: 'text', text: question },
    ],
  },
]);
for await (const piece of stream) document.querySelector('#answer')?.append(piece);
await stream.result;

/** SHA-256 of each image's patches. @type {Record<string, number[]>} */
const patches = {};
for (const { image } of examples) {
  patches[image] = await digestOf(await exampleFile(image));
}

/** @param {Uint8Array} image */
async function digestOf(image) {
  const { images } = await model.prepare([{ role: 'user', content: [{ type: 'image', image }] }]);
  const pixelValues = /** @type {Float32Array<ArrayBuffer>} */ (images[0].pixelValues);
  return [...new Uint8Array(await crypto.subtle.digest('SHA-256', pixelValues))];
}

/** @param {Promise<unknown>} promise */
const errorOf = (promise) =>
  promise.then(
    () => 'no error',
    (error) => `${error.code} ${error.message}`,
  );
const errors = [
  await errorOf(M2Reasoning.load('weights/m2-tiny')),
  await errorOf(model.prepare([{ role: 'user', content: [{ type: 'image', image: 'cat.png' }] }])),
];
await model.destroy();
Object.assign(globalThis, { report: { patches, errors } });
