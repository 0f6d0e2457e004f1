import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { rooflineSvg } from '../../bench/gpu/roofline.js';

const root = new URL('../..', import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), 'm2-bench-gpu-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(...args: string[]) {
  return spawnSync('node', [join(root, 'bench/gpu.js'), '--out', folder, ...args], { encoding: 'utf8' });
}
const part = (name: string) => JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8'));
const textOf = (name: string) => readFileSync(join(folder, name), 'utf8');

describe('bench:gpu', () => {
  it('stores each part, continues after one that fails, and reports it', () => {
    const parts = ['--only', 'adapter,kernels,rates,attention', '--kernels', 'add,noSuchKernel'];
    const { status, stdout } = run('--quick', ...parts);
    expect(status, stdout).toBe(1);

    expect(part('adapter')).toMatchObject({ status: 'done', problems: [] });
    const problem = 'noSuchKernel: there is no kernel of this name';
    expect(part('kernels')).toMatchObject({ status: 'failed', problems: [problem] });
    expect(part('kernels').rows).toMatchObject([{ kernel: 'add', wrong: 0, verdict: 'ok' }]);
    expect(part('attention').status).toBe('done');
    const ways = part('attention').rows.map(({ way }: { way: string }) => way);
    expect(ways).toEqual(expect.arrayContaining(['decodeAttention', 'attendTokenSplits + mergeSplits']));
    for (const row of part('attention').rows) expect(row.usPerCall).toBeGreaterThan(0);

    expect(textOf('summary.md')).toContain(`| kernels | failed | 1 |`);
    expect(textOf('summary.md')).toContain(problem);
    expect(textOf('roofline.svg')).toContain('decode attention, 128 keys');
    expect(stdout).toContain(`FAILED: ${problem}`);
  });

  it('stops a part that exceeds its time', () => {
    expect(run('--only', 'goldens', '--minutes', '0.0005').status).toBe(1);
    expect(part('goldens')).toMatchObject({ status: 'failed', problems: ['stopped after 0 s'] });
  });

  it('refuses unknown parts', () => {
    const { status, stderr } = run('--only', 'kernel');
    expect(status).toBe(2);
    expect(stderr).toContain('there is no part kernel; there are adapter, kernels,');
    expect(existsSync(join(folder, 'kernel.json'))).toBe(false);
  });
});

describe('its roofline', () => {
  const rates = { copyGbPerS: 3000, multiplyAddGflopPerS: 50_000 };
  const crowded = Array.from({ length: 24 }, (_, i) => ({
    label: `operation ${i}, 128 rows: 9000 (18 %)`,
    intensity: [1, 1.02, 100, 104, 500][i % 5],
    gflopPerS: [2000, 2100, 8000, 8100, 9000][i % 5] * (1 + i / 200),
    isFastest: true,
  }));

  it('has no overlapping labels', () => {
    const texts = rooflineSvg('crowded', rates, crowded).matchAll(
      /<text x="([\d.]+)" y="([\d.]+)" (text-anchor="end")?>(operation.*?)</g,
    );
    const boxes = Array.from(texts, ([, x, y, isEnd, label]) => {
      const width = 6.4 * label.length;
      return { left: isEnd ? Number(x) - width : Number(x), width, y: Number(y) };
    });
    expect(boxes).toHaveLength(24);
    for (const [i, a] of boxes.entries()) {
      for (const b of boxes.slice(i + 1)) {
        const isApart = a.left + a.width <= b.left || b.left + b.width <= a.left || Math.abs(a.y - b.y) >= 12;
        expect(isApart, JSON.stringify([a, b])).toBe(true);
      }
    }
  });

  it('says so if the rates were not measured', () => {
    expect(rooflineSvg('nothing', null, crowded)).toContain('rates of the adapter were not measured');
  });
});
