/** The groups of a pass have all of its steps in order: larger groups if steps were fast, smaller ones if they were slow. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { WorkPace } from '../../src/gpu/workPace.ts';

afterEach(() => vi.restoreAllMocks());

/** The size of each group for `count` steps of `bytes`, on a GPU that takes `msPerMb` per MB. */
async function groupsOf(pace: WorkPace, count: number, bytes: number, msPerMb: number): Promise<number[]> {
  const works = new Array<number>(count).fill(bytes);
  let now = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => now);
  const sizes: number[] = [];
  let ran = 0;
  for (let begin = 0; begin < count; ) {
    const end = pace.groupEnd(works, begin);
    const submit = () => {
      ran += end - begin;
    };
    await pace.run((end - begin) * bytes, submit, async () => {
      now += ((end - begin) * bytes * msPerMb) / 1e6;
    });
    sizes.push(end - begin);
    begin = end;
  }
  expect(ran).toBe(count);
  return sizes;
}

describe('WorkPace', () => {
  it('starts small, grows at most fourfold, and remembers the size', async () => {
    const pace = new WorkPace();
    const sizes = await groupsOf(pace, 400, 1e5, 0.1);
    expect(sizes.slice(0, 3)).toEqual([10, 40, 160]);
    expect(await groupsOf(pace, 400, 1e5, 0.1)).toEqual([400]);
  });

  it('uses smaller groups on a slow device, but at least one step', async () => {
    const pace = new WorkPace();
    const sizes = await groupsOf(pace, 30, 1e5, 100); // 10 ms a step
    expect(sizes[0]).toBe(10);
    expect(sizes[1]).toBe(4); // 40 ms
    expect(await groupsOf(pace, 2, 1e6, 100)).toEqual([1, 1]);
  });

  it('does not learn from the short end of a pass', async () => {
    const pace = new WorkPace();
    await groupsOf(pace, 400, 1e5, 0.1);
    await groupsOf(pace, 1, 1e5, 300); // 30 ms for one step
    expect(await groupsOf(pace, 400, 1e5, 0.1)).toEqual([400]);
  });
});
