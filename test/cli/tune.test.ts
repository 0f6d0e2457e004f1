import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { tune } from '../../src/cli/tune.node.ts';

const scratch = mkdtempSync(join(tmpdir(), 'm2-tune-'));
vi.stubEnv('XDG_CACHE_HOME', scratch);
afterAll(() => {
  vi.unstubAllEnvs();
  rmSync(scratch, { recursive: true });
});

describe('m2 tune', () => {
  test.each([
    [['everything'], 'tune takes flags only'],
    [['--forget', '--json'], "--forget can't be combined with other flags"],
    [['--model', ''], '--model'],
    [['--model', scratch], 'config.json'],
  ])('refuses %j', async (args, message) => {
    await expect(tune.run(args, new AbortController().signal)).rejects.toThrow(message);
  });

  test('--forget says that nothing is stored', async () => {
    const stdout = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    try {
      expect(await tune.run(['--forget'], new AbortController().signal)).toBe(0);
      expect(stdout.mock.calls).toEqual([['nothing is stored for this adapter\n']]);
    } finally {
      stdout.mockRestore();
    }
  });

  test('ends when it is interrupted, and stores nothing', async () => {
    const interrupted = AbortSignal.abort(new Error('interrupted'));
    const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    await expect(tune.run([], interrupted)).rejects.toThrow('interrupted');
    stderr.mockRestore();
  });
});
