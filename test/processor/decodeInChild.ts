import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface ChildResult {
  /** The error's code, or `decoded`. */
  readonly outcome: string;
  readonly cpuMs: number;
  /** The rise of the process's peak memory. */
  readonly peakGrowthMb: number;
}

/** Node 20 runs no TypeScript; test/buildOnce.ts has built dist/. */
const decoder = new URL('../../dist/processor/image/image.js', import.meta.url).href;

/** Decodes a small file first, to load all code, then each file, and reports time and memory. */
const script = `
  import { readFileSync } from 'node:fs';
  import { decodeImage } from ${JSON.stringify(decoder)};
  const names = process.argv.slice(2);
  await decodeImage(new Uint8Array(readFileSync(names[0])), 'warm-up');
  const files = names.slice(1).map((name) => new Uint8Array(readFileSync(name)));
  const results = [];
  for (const file of files) {
    const peakKb = process.resourceUsage().maxRSS;
    const before = process.cpuUsage();
    const outcome = await decodeImage(file, 'picture').then(() => 'decoded', (error) => error.code ?? String(error));
    const peakGrowthMb = (process.resourceUsage().maxRSS - peakKb) / 1024;
    const { user, system } = process.cpuUsage(before);
    results.push({ outcome, cpuMs: (user + system) / 1000, peakGrowthMb });
  }
  console.log(JSON.stringify(results));
`;

/**
 * Runs `decodeImage` in a child process, so that a crash or a hang is only a failed test.
 *
 * @param warmUp a small valid file
 */
export function decodeInChild(
  warmUp: Uint8Array,
  files: readonly Uint8Array[],
  deadlineMs: number,
): ChildResult[] {
  const folder = mkdtempSync(join(tmpdir(), 'm2-images-'));
  try {
    writeFileSync(join(folder, 'main.mjs'), script);
    const names = [warmUp, ...files].map((file, i) => {
      const name = join(folder, `${i}.image`);
      writeFileSync(name, file);
      return name;
    });
    const child = spawnSync(process.execPath, [join(folder, 'main.mjs'), ...names], {
      timeout: deadlineMs,
      encoding: 'utf8',
    });
    if (child.status !== 0) {
      throw new Error(
        `child ended with ${child.status ?? child.signal} (deadline ${deadlineMs} ms): ${child.stderr}`,
      );
    }
    return JSON.parse(child.stdout);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
