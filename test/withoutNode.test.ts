/** The replacements for Node in a page, tested without a browser; package.test.ts opens a page. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it, vi } from 'vitest';
import { openDawn } from '../src/gpu/dawn.node.ts';
import { openGpu } from '../src/gpu/device.ts';
import { kernels } from '../src/kernels/kernelSet.ts';
import * as withoutNode from '../src/withoutNode.ts';
import { readJson } from './readTensors.ts';

const root = new URL('../', import.meta.url);

afterEach(() => vi.unstubAllGlobals());

const replaced: Record<string, string> = readJson(new URL('package.json', root).pathname).browser;
it.each(Object.entries(replaced))('%s: each of its functions has a counterpart', async (from, to) => {
  expect(to).toBe('./dist/withoutNode.js');
  const names = Object.keys(await import(new URL(from, root).href));
  expect(names.length).toBeGreaterThan(0);
  expect(Object.keys(withoutNode)).toEqual(expect.arrayContaining(names));
});

it('a page without WebGPU says so', async () => {
  const error = { name: 'GpuError', code: 'GPU_NO_ADAPTER', message: expect.stringContaining('https') };
  await expect(withoutNode.openDawn({})).rejects.toMatchObject(error);
});

it('a browser without an adapter says what to do', async () => {
  vi.stubGlobal('navigator', { gpu: { requestAdapter: async () => null } });
  const error = {
    name: 'GpuError',
    code: 'GPU_NO_ADAPTER',
    message: expect.stringContaining('chrome://gpu'),
  };
  await expect(openGpu()).rejects.toMatchObject(error);
});

it("a kernel whose text can't be fetched, or is wrong, is named", async () => {
  const server = createServer((request, response) => {
    if (request.url === '/gone.wgsl') response.writeHead(404).end();
    else response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html>'); // a server's start page
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { adapter, release } = await openDawn({});
  vi.stubGlobal('navigator', { gpu: { requestAdapter: async () => adapter } });
  const gpu = await openGpu();
  const wrong = `${readFileSync(kernels.siluGate.declaration.code as URL, 'utf8')}wrong`;
  const cases: [string, RegExp][] = [
    [`${origin}/gone.wgsl`, /^mine: .*gone\.wgsl answers 404/],
    [`${origin}/start.wgsl`, /^mine: .*start\.wgsl answers 200 with a page/],
    [`data:application/octet-stream;base64,${btoa(wrong)}`, /^mine:\d+:\d+ /], // as vite inlines small files
  ];
  for (const [url, message] of cases) {
    const mine = kernels.siluGate.variant({ name: 'mine', code: new URL(url), helpers: [] });
    const error = { name: 'KernelError', code: 'KERNEL_COMPILE', message: expect.stringMatching(message) };
    const gateUp = { data: new Float32Array(8), shape: [1, 8] };
    await expect(mine.run(gpu, { gateUp })).rejects.toMatchObject(error);
  }
  gpu.destroy();
  release();
  server.close();
});
