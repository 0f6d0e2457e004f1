import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = new URL('../..', import.meta.url).pathname;

/** Runs a module text in a Node of its own, from the built sources, with only the given environment changed. */
function runNode(code: string, env: Record<string, string | undefined>) {
  const clean = { ...process.env, VK_DRIVER_FILES: undefined, VK_ICD_FILENAMES: undefined, ...env };
  return spawnSync('node', ['--input-type=module', '-e', code], {
    cwd: root,
    encoding: 'utf8',
    env: clean as NodeJS.ProcessEnv,
    timeout: 60_000,
  });
}

const OPEN = `
  import { openGpu } from 'm2-reasoning';
  try {
    const gpu = await openGpu();
    console.log(gpu.description);
    console.log(process.env.VK_DRIVER_FILES ?? 'system driver');
    gpu.destroy();
  } catch (error) {
    console.log(error.name, error.code, error.message);
  }`;

describe('openGpu', () => {
  it('finds an adapter without any setting, and the process ends by itself', () => {
    const { stdout, status, signal } = runNode(OPEN, {});
    expect(signal).toBeNull();
    expect(status).toBe(0);
    expect(stdout).toMatch(/bindings up to \d+ MiB/);
  });

  it('keeps to the driver that the person chose, and says what to install where that is none', () => {
    const { stdout, status } = runNode(OPEN, { VK_DRIVER_FILES: '/nonexistent/driver.json' });
    expect(status).toBe(0);
    expect(stdout).toMatch(
      /^GpuError GPU_NO_ADAPTER no WebGPU adapter was found; on Linux install .* macOS .* Windows/,
    );
  });

  it('unpacks SwiftShader into an empty cache folder, and elsewhere where that can not be written', () => {
    const find = `
      import { useSwiftShader } from './dist/gpu/softwareAdapter.node.js';
      await useSwiftShader();
      console.log(process.env.VK_DRIVER_FILES);`;
    const cache = mkdtempSync(join(tmpdir(), 'm2-cache-'));
    const unpacked = runNode(find, { XDG_CACHE_HOME: cache }).stdout.trim();
    expect(unpacked.startsWith(cache)).toBe(true);
    const fallback = runNode(find, { XDG_CACHE_HOME: '/dev/null' }).stdout.trim();
    expect(fallback).toMatch(/vk_swiftshader_icd\.json$/);

    // The loader that lies beside a chosen driver serves where the system has none.
    const { stdout } = runNode(OPEN, { VK_DRIVER_FILES: unpacked });
    expect(stdout).toMatch(/SwiftShader/);
  });

  it('holds what Node needs held: collecting garbage while a device lives does no harm', () => {
    const code = `
      import { kernels, openGpu } from 'm2-reasoning';
      const gpu = await openGpu();
      for (let i = 0; i < 20; i++) {
        globalThis.gc();
        await kernels.add.run(gpu, { hidden: { data: new Float32Array(4), shape: [2, 2] }, delta: new Float32Array(4) });
      }
      gpu.destroy();
      console.log('alive');`;
    const stdout = execFileSync('node', ['--expose-gc', '--input-type=module', '-e', code], {
      cwd: root,
      encoding: 'utf8',
    });
    expect(stdout).toContain('alive');
  });

  it('destroys twice, and reports the loss to whoever still waits', () => {
    const code = `
      import { openGpu } from 'm2-reasoning';
      const gpu = await openGpu();
      gpu.destroy();
      gpu.destroy();
      await gpu.idle().catch((error) => console.log(error.code));`;
    expect(runNode(code, {}).stdout).toContain('GPU_LOST');
  });
});
