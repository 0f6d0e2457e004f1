import { describe, expect, test } from 'vitest';
import {
  type ImageGrid,
  mRopePositions,
  positionsFor,
  textPositions,
  videoRopePositions,
} from '../../src/model/graph/positions.ts';
import type { GridThw } from '../../src/model/graph/windows.ts';
import { goldenCases, thrownBy } from '../processor-text/helpers.ts';
import { goldens, readJson } from '../readTensors.ts';

const config = { imageStartToken: 480, imagePatchToken: 479, spatialMergeSize: 2 };
const [START, PATCH, END] = [480, 479, 481];

/** Removes the padding before a stored prompt, which we do not have, from positions and delta. */
function withoutPadding(row: { input_ids: number[]; attention_mask?: number[] | null }) {
  const isToken = (_: number, place: number) => row.attention_mask?.[place] !== 0;
  const ids = row.input_ids.filter(isToken);
  const padding = row.input_ids.length - ids.length;
  return {
    ids,
    positions: (stored: number[][]) => stored.map((axis) => axis.filter(isToken)),
    ropeDelta: (stored: number) => stored + padding,
  };
}

/** Flat [3, tokens] as three rows, like the goldens. */
function rows(positionIds: Int32Array): number[][] {
  const tokens = positionIds.length / 3;
  return [0, 1, 2].map((axis) => Array.from(positionIds.subarray(axis * tokens, (axis + 1) * tokens)));
}

function imagesOf({ image_grid_thw: grids }: { image_grid_thw: GridThw[] | null }): ImageGrid[] {
  return (grids ?? []).map((gridThw) => ({ gridThw }));
}

describe('positions.json', () => {
  const table = readJson(`${goldens}positions.json`);
  for (const [i, row] of table.rows.entries()) {
    for (const quirks of ['reference', 'fixed'] as const) {
      test(`row ${i}, quirks ${quirks}`, () => {
        const images = imagesOf(row);
        const { ids, positions, ropeDelta } = withoutPadding(row);
        const mRope = mRopePositions(ids, images, config, quirks);
        expect(rows(mRope.positionIds)).toEqual(positions(row.m_rope.position_ids));
        expect(mRope.ropeDelta).toBe(ropeDelta(row.m_rope.rope_delta));

        const videoRope = videoRopePositions(ids, images, config, quirks);
        expect(rows(videoRope.positionIds)).toEqual(positions(row.video_rope_int_scale.position_ids));
        expect(videoRope.ropeDelta).toBe(ropeDelta(row.video_rope_int_scale.rope_delta));
      });
    }
  }
});

describe("clips under m_rope have the positions of transformers' Qwen2.5-VL", () => {
  const { tokens, rows: clips } = readJson(
    new URL('../fixtures/frames/positions.json', import.meta.url).pathname,
  );
  const qwen = { imageStartToken: tokens.start, imagePatchToken: tokens.image, spatialMergeSize: 2 };

  interface StoredGrid {
    readonly grid_thw: GridThw;
    readonly second_per_grid: number | null;
  }
  for (const row of clips) {
    test(row.name, () => {
      // Qwen2.5-VL has a token of its own for clips; here they use the image's. An image has one step of time there.
      const stored = withoutPadding(row);
      const ids = stored.ids.map((id) => (id === tokens.video ? tokens.image : id));
      const images = row.grids.map(({ grid_thw: gridThw, second_per_grid: seconds }: StoredGrid) => ({
        gridThw,
        // Without seconds transformers assumes 1; makePositions.py makes that one step per second, as we do without seconds.
        secondsPerGrid: seconds ?? (row.tokens_per_second === 2 ? 1 : undefined),
      }));
      const { positionIds, ropeDelta } = mRopePositions(ids, images, qwen, 'fixed');
      expect(rows(positionIds)).toEqual(stored.positions(row.position_ids));
      expect(ropeDelta).toBe(stored.ropeDelta(row.rope_delta));
    });
  }
});

describe('positions of the golden cases', () => {
  for (const { name, golden } of goldenCases()) {
    if (golden.error !== undefined) continue; // the published code stops before it has positions
    test(name, () => {
      // the published `forward` swallows its error and counts 0, 1, 2, …
      const rope =
        golden.checkpoint === 'rope-1d-f16' || golden.behaviour === 'forward'
          ? 'none'
          : golden.checkpoint === 'video-rope-f32'
            ? 'video_rope'
            : 'm_rope';
      const quirks = golden.expansion === 'intended' ? 'fixed' : 'reference';
      const ids: number[] = golden.input_ids;
      const positions = positionsFor(rope, ids, imagesOf(golden), config, quirks);
      const expected: number[][] = golden.position_ids;
      expect(rows(positions.positionIds)).toEqual(
        expected.length === 1 ? Array(3).fill(expected[0]) : expected,
      );
      if (golden.rope_delta !== null) expect(positions.ropeDelta).toBe(golden.rope_delta);

      const steps: number[][] | null = golden.decode_position_ids;
      for (const [step, decoded] of (steps ?? []).entries()) {
        const position = ids.length + step + positions.ropeDelta;
        expect(new Set(decoded.flat())).toEqual(new Set([position]));
      }
    });
  }
});

describe('the examples of the docstrings', () => {
  const grid = [{ gridThw: [1, 4, 4] }] as const;

  test('m_rope: 3 text tokens and an image of 2x2', () => {
    const ids = [1, 2, START, PATCH, PATCH, PATCH, PATCH, END, 3];
    const { positionIds, ropeDelta } = mRopePositions(ids, grid, config, 'fixed');
    expect(rows(positionIds)).toEqual([
      [0, 1, 2, 3, 3, 3, 3, 5, 6],
      [0, 1, 2, 3, 3, 4, 4, 5, 6],
      [0, 1, 2, 3, 4, 3, 4, 5, 6],
    ]);
    expect(ropeDelta).toBe(-2);
  });

  test('m_rope: a clip of 3 temporal patches, with and without seconds', () => {
    const ids = [1, START, PATCH, PATCH, PATCH, END];
    const clip = { gridThw: [3, 2, 2] } as const;
    const bare = mRopePositions(ids, [clip], config, 'fixed');
    expect(rows(bare.positionIds)).toEqual([
      [0, 1, 2, 3, 4, 5],
      [0, 1, 2, 2, 2, 5],
      [0, 1, 2, 2, 2, 5],
    ]);
    expect(bare.ropeDelta).toBe(0);
    const slow = mRopePositions(ids, [{ ...clip, secondsPerGrid: 2 }], config, 'fixed');
    expect(rows(slow.positionIds)).toEqual([
      [0, 1, 2, 6, 10, 11],
      [0, 1, 2, 2, 2, 11],
      [0, 1, 2, 2, 2, 11],
    ]);
    expect(slow.ropeDelta).toBe(6);
  });

  test('video_rope: a clip takes two steps per temporal patch, for rows and columns too; seconds change nothing', () => {
    const ids = [1, START, ...Array(8).fill(PATCH), END];
    const clip = { gridThw: [2, 4, 4] } as const;
    const { positionIds, ropeDelta } = videoRopePositions(ids, [clip], config, 'fixed');
    expect(rows(positionIds)).toEqual([
      [0, 1, 2, 2, 2, 2, 4, 4, 4, 4, 5],
      [0, 1, 2, 2, 3, 3, 4, 4, 5, 5, 5],
      [0, 1, 2, 3, 2, 3, 4, 5, 4, 5, 5],
    ]);
    expect(ropeDelta).toBe(-5);
    const slow = videoRopePositions(ids, [{ ...clip, secondsPerGrid: 9 }], config, 'fixed');
    expect(slow).toEqual({ positionIds, ropeDelta });
  });

  test('video_rope: an image of 1x4, centred', () => {
    const ids = [1, START, PATCH, PATCH, PATCH, PATCH, END];
    const { positionIds, ropeDelta } = videoRopePositions(ids, [{ gridThw: [1, 2, 8] }], config, 'fixed');
    expect(rows(positionIds)).toEqual([
      [0, 1, 2, 2, 2, 2, 3],
      [0, 1, 2, 2, 2, 2, 3],
      [0, 1, 1, 2, 3, 4, 3],
    ]);
    expect(ropeDelta).toBe(-3);
  });

  test('without axes image tokens count as text', () => {
    const { positionIds, ropeDelta } = textPositions(4);
    expect(rows(positionIds)).toEqual(Array(3).fill([0, 1, 2, 3]));
    expect(ropeDelta).toBe(0);
    const none = positionsFor('none', [START, PATCH, PATCH, PATCH, PATCH, END], grid, config, 'reference');
    expect(rows(none.positionIds)[2]).toEqual([0, 1, 2, 3, 4, 5]);
  });
});

describe('prompts whose image tokens do not match the grids', () => {
  const grid: ImageGrid = { gridThw: [1, 4, 4] }; // 4 merged tokens
  const image = [START, PATCH, PATCH, PATCH, PATCH, END];

  for (const place of [mRopePositions, videoRopePositions]) {
    const codeOf = (ids: number[], grids: ImageGrid[], quirks: 'reference' | 'fixed') =>
      thrownBy(() => place(ids, grids, config, quirks)).code;

    test(`${place.name}: an image that runs past the end`, () => {
      expect(codeOf([1, START, PATCH, PATCH], [grid], 'reference')).toBe('INPUT_IMAGE_COUNT');
      expect(codeOf([1, START, PATCH, PATCH], [grid], 'fixed')).toBe('INPUT_IMAGE_COUNT');
    });

    test(`${place.name}: more marked images than grids`, () => {
      expect(codeOf([...image, START, PATCH], [grid], 'reference')).toBe('INPUT_IMAGE_COUNT');
    });

    test(`${place.name}: an image whose patches another image has taken`, () => {
      expect(codeOf([START, PATCH, 7, START, PATCH, 7, 7, 7], [grid, grid], 'reference')).toBe(
        'INPUT_IMAGE_COUNT',
      );
    });

    test(`${place.name}: fewer marked images than grids, which only occurs with the published expansion`, () => {
      const ids = [START, PATCH, PATCH, PATCH, PATCH, END, PATCH, PATCH, PATCH, PATCH, END, START];
      expect(codeOf(ids, [grid, grid], 'fixed')).toBe('INPUT_IMAGE_COUNT');
      expect(place(ids, [grid, grid], config, 'reference').positionIds).toHaveLength(36);
    });

    test(`${place.name}: a longer run than the grid`, () => {
      expect(codeOf([START, PATCH, PATCH, PATCH, PATCH, PATCH, END], [grid], 'fixed')).toBe(
        'INPUT_IMAGE_COUNT',
      );
    });

    test(`${place.name}: <image> at the end of a text is a text token`, () => {
      expect(rows(place([1, 2, START], [], config, 'fixed').positionIds)[0]).toEqual([0, 1, 2]);
      expect(place([...image, START], [grid], config, 'fixed').positionIds).toHaveLength(21);
    });
  }

  test('without images, <image><imagePatch> in a text is text', () => {
    expect(rows(mRopePositions([START, PATCH, 5], [], config, 'reference').positionIds)[1]).toEqual([
      0, 1, 2,
    ]);
  });
});
