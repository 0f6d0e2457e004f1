import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  axisOfFrequency,
  inverseFrequencies,
  llmRotaryTable,
  visionRotaryAngles,
} from '../../src/model/graph/rotaryTables.ts';
import { windowLayout } from '../../src/model/graph/windows.ts';
import { goldenCases } from '../processor-text/helpers.ts';
import { goldens, readJson, readTensors } from '../readTensors.ts';

/** One float32 step just below 1. Both torch's sin and cos and ours may be off by that. */
const ONE_ULP = 2 ** -24;

describe('rotary tables of the golden cases', () => {
  for (const { name, golden } of goldenCases()) {
    const file = `${goldens}${name}/tensors.safetensors`;
    if (!existsSync(file)) continue;
    const tensors = readTensors(file);

    const angles = tensors.get('vision.rotary_windowed');
    if (angles !== undefined) {
      test(`${name}: vision.rotary_windowed is bit-equal`, () => {
        const half = angles.shape[1];
        const grids = golden.image_grid_thw;
        const merge = visionRotaryAngles(grids, { headDim: 2 * half, spatialMergeSize: 2 });
        const { windowIndex } = windowLayout(grids, { windowSize: 112, patchSize: 14, spatialMergeSize: 2 });
        const unit = 4 * half; // the four patches of a merged token stay together
        const windowed = new Float32Array(merge.length);
        for (const [place, token] of windowIndex.entries()) {
          windowed.set(merge.subarray(token * unit, (token + 1) * unit), place * unit);
        }
        expect(windowed).toEqual(angles.data);
      });
    }

    const cos = tensors.get('llm.rotary_cos');
    const sin = tensors.get('llm.rotary_sin');
    if (cos !== undefined && sin !== undefined) {
      test(`${name}: llm.rotary_cos and llm.rotary_sin within one step of float32`, () => {
        const half = cos.shape.at(-1) as number;
        const config = readJson(`${goldens}checkpoints/${golden.checkpoint}/config.json`);
        const positions: number[] = golden.position_ids.flat();
        const first = Math.min(...positions);
        const table = llmRotaryTable(first, Math.max(...positions), 2 * half, config.llm_config.rope_theta);
        let worst = 0;
        for (const [row, position] of positions.entries()) {
          for (let i = 0; i < half; i++) {
            const at = (position - first) * half + i;
            worst = Math.max(worst, Math.abs(table.cos[at] - cos.data[row * half + i]));
            worst = Math.max(worst, Math.abs(table.sin[at] - sin.data[row * half + i]));
          }
        }
        expect(worst).toBeLessThanOrEqual(ONE_ULP);
      });
    }
  }
});

test('angles are exact float32 products even at large positions', () => {
  const frequencies = inverseFrequencies(128, 1e6);
  expect(frequencies).toHaveLength(64);
  expect(frequencies[0]).toBe(1);
  const table = llmRotaryTable(30_000, 30_001, 128, 1e6);
  expect(table.cos[64 + 5]).toBe(Math.fround(Math.cos(Math.fround(30_001 * frequencies[5]))));
  // A table of float64 angles would differ by far more than the error of a float32.
  expect(Math.abs(table.cos[64 + 5] - Math.cos(30_001 * 1e6 ** (-10 / 128)))).toBeGreaterThan(1e-5);
});

test('negative positions mirror the sine', () => {
  const table = llmRotaryTable(-2, 2, 16, 1e4);
  expect(table.firstPosition).toBe(-2);
  expect(table.sin.slice(0, 8)).toEqual(table.sin.slice(32, 40).map((value) => -value));
  expect(table.cos.slice(0, 8)).toEqual(table.cos.slice(32, 40));
});

test('rows and columns of the vision angles', () => {
  const angles = visionRotaryAngles([[2, 2, 4]], { headDim: 8, spatialMergeSize: 2 });
  const firstOfEach = Array.from({ length: 16 }, (_, patch) => [angles[patch * 4], angles[patch * 4 + 2]]);
  const frame = [
    [0, 0],
    [0, 1],
    [1, 0],
    [1, 1],
    [0, 2],
    [0, 3],
    [1, 2],
    [1, 3],
  ];
  expect(firstOfEach).toEqual([...frame, ...frame]);
});

describe('axisOfFrequency', () => {
  test('sections', () => {
    expect(Array.from(axisOfFrequency(32, [4, 6, 6], 'sections'))).toEqual([
      0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2,
    ]);
  });
  test('swapped: row and col alternate, t comes last', () => {
    expect(Array.from(axisOfFrequency(32, [4, 6, 6], 'swapped'))).toEqual([
      1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 0, 0, 0, 0,
    ]);
  });
  test('swapped with an odd count ends on row', () => {
    expect(Array.from(axisOfFrequency(16, [3, 2, 3], 'swapped'))).toEqual([1, 2, 1, 2, 1, 0, 0, 0]);
  });
  test('without axes all frequencies use t', () => {
    expect(Array.from(axisOfFrequency(16, [8, 0, 0], 'sections'))).toEqual(Array(8).fill(0));
    expect(Array.from(axisOfFrequency(16, [], 'sections'))).toEqual(Array(8).fill(0));
  });
});
