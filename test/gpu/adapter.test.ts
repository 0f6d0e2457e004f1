import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = new URL('../..', import.meta.url).pathname;

/** Runs a module's source in a new Node process, from the built sources, with changes to the environment. */
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
  it('finds an adapter without any settings, and the process exits by itself', () => {
    const { stdout, status, signal } = runNode(OPEN, {});
    expect(signal).toBeNull();
    expect(status).toBe(0);
    expect(stdout).toMatch(/bindings up to \d+ MiB/);
  });

  it("keeps the user's choice of driver, and says what to install if that is none", () => {
    const { stdout, status } = runNode(OPEN, { VK_DRIVER_FILES: '/nonexistent/driver.json' });
    expect(status).toBe(0);
    expect(stdout).toMatch(
      /^GpuError GPU_NO_ADAPTER no WebGPU adapter was found; on Linux install .* macOS .* Windows/,
    );
  });

  it("unpacks SwiftShader into an empty cache folder, or elsewhere if that can't be written", () => {
    const find = `
      import { useSwiftShader } from './dist/gpu/softwareAdapter.node.js';
      await useSwiftShader();
      console.log(process.env.VK_DRIVER_FILES);`;
    const cache = mkdtempSync(join(tmpdir(), 'm2-cache-'));
    const unpacked = runNode(find, { XDG_CACHE_HOME: cache }).stdout.trim();
    expect(unpacked.startsWith(cache)).toBe(true);
    const fallback = runNode(find, { XDG_CACHE_HOME: '/dev/null' }).stdout.trim();
    expect(fallback).toMatch(/vk_swiftshader_icd\.json$/);

    // If the system has no loader, the one beside the chosen driver is used.
    const { stdout } = runNode(OPEN, { VK_DRIVER_FILES: unpacked });
    expect(stdout).toMatch(/SwiftShader/);
  });

  it('keeps what Node needs: garbage collection during the life of a device does no harm', () => {
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

  it('may be destroyed twice, and reports the loss to pending waits', () => {
    const code = `
      import { openGpu } from 'm2-reasoning';
      const gpu = await openGpu();
      gpu.destroy();
      gpu.destroy();
      await gpu.idle().catch((error) => console.log(error.code));`;
    expect(runNode(code, {}).stdout).toContain('GPU_LOST');
  });
});
