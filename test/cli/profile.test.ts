import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { profile } from '../../src/cli/profile.node.ts';
import { rooflineSvg } from '../../src/cli/roofline.ts';
import type { ProfileRow } from '../../src/gpu/measure/profilePass.ts';

const scratch = mkdtempSync(join(tmpdir(), 'm2-profile-'));
afterAll(() => rmSync(scratch, { recursive: true }));

/** The command's output on stdout. */
async function profiled(...args: string[]): Promise<string> {
  const written: string[] = [];
  const stdout = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    written.push(String(text));
    return true;
  });
  const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  try {
    expect(await profile.run(args, new AbortController().signal)).toBe(0);
  } finally {
    stdout.mockRestore();
    stderr.mockRestore();
  }
  return written.join('');
}

describe('m2 profile', () => {
  test('prints a table of a prefill and one of a decode step', async () => {
    const text = await profiled('--prompt', 'Hi', '--repeat', '1', '--kernel-set', 'plain');
    expect(text).toMatch(
      /^prefill of \d+ tokens, mean of 1 runs\n {2}kernel +dispatches +µs +share +GB\/s +GFLOP\/s\n/,
    );
    expect(text).toMatch(/\ndecode step, mean of 1 runs\n/);
    expect(text).toMatch(/\n {2}matmul +20 +\S+ +\S+ % /); // qkv, o, gate and up, down of five layers
    expect(text).toMatch(/\n {2}gemv +21 +\S+ +\S+ % /); // plus the head
    expect(text).toMatch(/\n {2}writeKv +5 +\S+ +\S+ % +\S+ +-\n/);
  });

  test('--json has the numbers, --svg the roofline', async () => {
    const file = join(scratch, 'roofline.svg');
    const text = await profiled('--prompt', 'Hi', '--repeat', '1', '--json', '--svg', file);
    const { promptTokens, prefill, decode, rates, kernelSet } = JSON.parse(text);
    expect(kernelSet).toBe('fast');
    expect(promptTokens).toBeGreaterThan(1);
    expect(rates.copyGbPerS).toBeGreaterThan(0);
    expect([prefill.repetitions, decode.repetitions]).toEqual([1, 1]);
    const svg = readFileSync(file, 'utf8');
    for (const { kernel } of [...prefill.rows, ...decode.rows]) expect(svg).toContain(` ${kernel}: `);
  });

  test.each([
    [['--repeat', '0'], '--repeat is "0"'],
    [['--kernel-set', 'slow'], '--kernel-set is "slow"'],
    [['question'], 'profile takes flags only'],
  ])('refuses %j', async (args, message) => {
    await expect(profile.run(args, new AbortController().signal)).rejects.toThrow(message);
  });

  test("a file that can't be written is an input error", async () => {
    const file = join(scratch, 'no', 'such', 'folder.svg');
    await expect(profiled('--prompt', 'Hi', '--repeat', '1', '--svg', file)).rejects.toMatchObject({
      code: 'INPUT_FILE',
      details: { file },
    });
  });
});

describe('rooflineSvg', () => {
  const row = (kernel: string, gflopPerS: number | null, gbPerS: number | null): ProfileRow => {
    return {
      kernel,
      dispatches: 1,
      us: 1,
      share: 0.25,
      bytes: 1000,
      flops: gflopPerS && 4000,
      gbPerS,
      gflopPerS,
    };
  };
  const rates = { copyGbPerS: 10, multiplyAddGflopPerS: 100 };
  const svg = rooflineSvg(
    'a <fast> one',
    [{ name: 'step', rows: [row('a', 4, 1), row('b', null, 2), row('c', null, null)] }],
    rates,
  );

  test('draws each kernel with a measured time, and names all', () => {
    expect(svg.match(/<circle /g)).toHaveLength(2);
    expect(svg).toContain('>1 a: 25.0 %, 1 GB/s, 4 GFLOP/s</text>');
    expect(svg).toContain('>3 c: 25.0 %, - GB/s, - GFLOP/s</text>');
    expect(svg).toContain('a &lt;fast&gt; one');
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  });

  test('a point is as far below the roof as its speed says', () => {
    const [cx, cy] = ['cx', 'cy'].map((name) => Number(svg.match(new RegExp(`${name}="([^"]+)"`))?.[1]));
    const roof = svg
      .match(/<polyline points="([^"]+)"/)?.[1]
      .split(' ')
      .map((point) => point.split(',').map(Number));
    const [[, left], [ridgeX, ridgeY]] = [roof?.[1] as number[], roof?.[2] as number[]];
    expect(left).toBeGreaterThan(ridgeY); // y grows downwards
    // 4 FLOP/byte: x goes from 1 to 10, with the ridge at 10. Roof there 40 GFLOP/s, the point at 4: one decade of two below.
    expect(cx).toBeCloseTo(180 + Math.log10(4) * (ridgeX - 180), 0);
    expect(cy - ridgeY).toBeCloseTo(400 * ((2 - Math.log10(4)) / 2), 0);
  });
});
