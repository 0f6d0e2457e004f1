import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { decodeImage } from '../../src/processor/image/image.ts';
import { goldens, readJson, readTensors } from '../readTensors.ts';
import { compareLevels, readFixtures } from './fixtures.ts';

describe('PNG equals Pillow bit for bit', () => {
  for (const { name, file, width, height, rgb } of readFixtures()) {
    if (file[0] !== 0x89) continue;
    test(name, async () => {
      const image = await decodeImage(file, name);
      expect([image.width, image.height]).toEqual([width, height]);
      expect(compareLevels(image.data, rgb)).toMatchObject({ max: 0 });
    });
  }

  const { rows } = readJson(`${goldens}preprocess/preprocess.json`);
  for (const { image: path, tensors } of rows) {
    const expected = readTensors(`${goldens}preprocess/${tensors}`).get('decoded_rgb');
    if (!path.endsWith('.png') || !expected) continue;
    test(`golden ${tensors}`, async () => {
      const image = await decodeImage(readFileSync(goldens + path), path);
      expect([image.height, image.width, 3]).toEqual(expected.shape);
      expect(compareLevels(image.data, expected.data as Uint8Array)).toMatchObject({ max: 0 });
    });
  }
});

test("the file's bytes are not changed", async () => {
  const { file } = readFixtures()[0];
  const before = file.slice();
  await decodeImage(file, 'picture');
  expect(file).toEqual(before);
});
