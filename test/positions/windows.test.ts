import { describe, expect, test } from 'vitest';
import { type GridThw, windowLayout } from '../../src/model/graph/windows.ts';
import { goldenCases } from '../processor-text/helpers.ts';

const sizes = { windowSize: 112, patchSize: 14, spatialMergeSize: 2 };

describe('windows of the golden cases', () => {
  for (const { name, golden } of goldenCases()) {
    if (golden.window_index === undefined || golden.window_index === null) continue;
    test(name, () => {
      const windows = windowLayout(golden.image_grid_thw, sizes);
      expect(Array.from(windows.windowIndex)).toEqual(golden.window_index);
      expect(Array.from(windows.cuWindowSeqlensRaw)).toEqual(golden.cu_window_seqlens_raw);
      expect(Array.from(windows.cuWindowSeqlens)).toEqual(golden.cu_window_seqlens);
      expect(Array.from(windows.cuSeqlens)).toEqual(golden.cu_seqlens);
    });
  }
});

test('the figure in the docstring: a 6x10 grid cut into windows of 4x4', () => {
  const windows = windowLayout([[1, 12, 20]], sizes);
  expect(Array.from(windows.cuWindowSeqlens)).toEqual([0, 64, 128, 160, 192, 224, 240]);
  expect(Array.from(windows.windowIndex.subarray(0, 9))).toEqual([0, 1, 2, 3, 10, 11, 12, 13, 20]);
});

describe('any grid', () => {
  // Smaller than a window, of whole windows, not square, several frames, several images.
  const grids: GridThw[][] = [
    [[1, 2, 2]],
    [[1, 8, 8]],
    [[1, 6, 22]],
    [[3, 10, 12]],
    [
      [1, 4, 4],
      [2, 18, 6],
    ],
  ];
  for (const grid of grids) {
    test(JSON.stringify(grid), () => {
      const { windowIndex, cuWindowSeqlens, cuSeqlens } = windowLayout(grid, sizes);
      const merged = windowIndex.length;
      expect(Array.from(windowIndex).sort((a, b) => a - b)).toEqual(
        Array.from({ length: merged }, (_, i) => i),
      );
      expect(cuWindowSeqlens.at(-1)).toBe(4 * merged);
      expect(cuSeqlens.at(-1)).toBe(4 * merged);
      expect(cuSeqlens.length - 1).toBe(grid.reduce((frames, [t]) => frames + t, 0));
      // A window never spans frames, so every frame boundary is also a window boundary.
      const boundaries = new Set(cuWindowSeqlens);
      for (const boundary of cuSeqlens) expect(boundaries.has(boundary)).toBe(true);
    });
  }
});
