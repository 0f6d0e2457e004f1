/** Groups of a pass: all of its steps in order, more of them where they were fast, fewer where they were slow. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { WorkPace } from '../../src/gpu/workPace.ts';

afterEach(() => vi.restoreAllMocks());

/** How many steps each group of `count` steps of `bytes` has, where the GPU does a MB in `msPerMb`. */
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
  it('begins small, grows fourfold at most, and remembers', async () => {
    const pace = new WorkPace();
    const sizes = await groupsOf(pace, 400, 1e5, 0.1);
    expect(sizes.slice(0, 3)).toEqual([10, 40, 160]);
    expect(await groupsOf(pace, 400, 1e5, 0.1)).toEqual([400]);
  });

  it('takes less at once from a slow device, one step at least', async () => {
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
