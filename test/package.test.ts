/** The package as users get it: packed, installed in an empty folder, run in Node, and built into a page by vite. */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import chromium, { inflate } from '@sparticuz/chromium';
import puppeteer from 'puppeteer-core';
import { preview } from 'vite';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { useSwiftShader } from '../src/gpu/softwareAdapter.node.ts';
import { parseImageProcessorConfig } from '../src/processor/image/imageProcessorConfig.ts';
import { loadImage } from '../src/processor/image/imageSource.ts';
import { preprocessImage } from '../src/processor/patches.ts';
import { examples, tiny } from './tinyExamples.ts';

const root = new URL('..', import.meta.url).pathname;
const require = createRequire(import.meta.url);
const folder = mkdtempSync(join(tmpdir(), 'm2-package-'));
const installed = join(folder, 'node_modules/m2-reasoning');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

beforeAll(() => {
  const pack = ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder];
  const packed = execFileSync('npm', pack, { cwd: root, encoding: 'utf8' });
  writeFileSync(join(folder, 'package.json'), '{ "private": true }');
  const options = ['--no-audit', '--no-fund', '--prefer-offline', '--silent'];
  execFileSync('npm', ['install', ...options, join(folder, packed.trim())], { cwd: folder });
});

describe('the packed package, installed in an empty folder', () => {
  it('answers in Node', async () => {
    // The package itself has no software driver, so it uses this repository's, like a driver chosen by the user.
    if (!process.env.VK_DRIVER_FILES) await useSwiftShader();
    const answer = execFileSync('node', [join(installed, 'examples/01-ask-about-a-picture.js')], {
      cwd: folder,
      encoding: 'utf8',
      env: { ...process.env },
    });
    expect(answer).toContain(examples[0].reference_output);

    const version = execFileSync(join(folder, 'node_modules/.bin/m2'), ['--version'], { encoding: 'utf8' });
    expect(version.trim()).toBe(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version);
  });

  // The only browser that needs no extra download is for Linux on x64.
  if (process.platform !== 'linux' || process.arch !== 'x64') return;
  it('answers in a page that vite builds without settings', async () => {
    cpSync(join(root, 'test/web'), folder, { recursive: true }); // index.html, main.js
    cpSync(join(installed, 'weights/m2-tiny'), join(folder, 'public/m2-tiny'), { recursive: true });
    // The vite that vitest depends on. NODE_ENV=test, as set in tests, would change the build.
    const env = { ...process.env, NODE_ENV: 'production' };
    const vite = join(root, 'node_modules/vite/bin/vite.js');
    const built = spawnSync('node', [vite, 'build'], { cwd: folder, env, encoding: 'utf8' });
    expect(built.status, built.stderr).toBe(0);
    expect(built.stderr).toBe(''); // a warning would stand there
    const assets = join(folder, 'dist/assets');
    const scripts = readdirSync(assets).filter((name) => name.endsWith('.js'));
    expect(scripts.filter((name) => /["']node:/.test(readFileSync(join(assets, name), 'utf8')))).toEqual([]);

    const { text, report, urls, origin, exitCode } = await openPage();
    expect(text).toBe(examples[0].reference_output);
    for (const { image } of examples) expect(report.patches[image], image).toEqual(await patchesOf(image));
    expect(report.errors).toEqual([
      expect.stringMatching(/^CKPT_FILE_MISSING weights\/m2-tiny.*urlFiles/),
      expect.stringMatching(/^IMAGE_NOT_FOUND .*cat\.png.*pass the bytes/),
    ]);
    expect(urls.filter((url) => !url.startsWith(origin) && !url.startsWith('data:'))).toEqual([]);
    expect(urls).toContain(`${origin}m2-tiny/config.json`);
    expect(exitCode).toBe(0);
  });
});

/** The report of test/web/main.js. */
interface Report {
  readonly patches: Readonly<Record<string, readonly number[]>>;
  readonly errors: readonly string[];
}

/** Serves dist/ of `folder`, opens it in Chromium, and waits until the page has written its report. */
async function openPage() {
  vi.stubEnv('TMPDIR', folder); // where the browser is unpacked: 2 s, and no half of an earlier run is in the way
  const executablePath = await chromium.executablePath();
  // The libraries that Chromium needs and a minimal system lacks.
  await inflate(join(require.resolve('@sparticuz/chromium'), '../../bin/al2023.tar.br'));
  const env = { ...process.env, LD_LIBRARY_PATH: join(folder, 'al2023/lib') };
  vi.unstubAllEnvs();

  const server = await preview({ root: folder, logLevel: 'silent', preview: { port: 0 } });
  const origin = server.resolvedUrls?.local[0] as string;
  const browser = await puppeteer.launch({
    executablePath,
    env,
    headless: 'shell',
    args: [
      '--no-sandbox', // root has none
      '--enable-unsafe-webgpu',
      '--use-webgpu-adapter=swiftshader',
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost', // nothing leaves this machine
    ],
  });
  try {
    const page = await browser.newPage();
    const urls: string[] = [];
    page.on('request', (request) => urls.push(request.url()));
    const failed = new Promise<never>((_, reject) => page.on('pageerror', reject));
    await page.goto(origin);
    const reported = page.waitForFunction('globalThis.report', { timeout: 60_000 });
    const report = (await (await Promise.race([reported, failed])).jsonValue()) as Report;
    const text = await page.$eval('#answer', ({ textContent }) => textContent);
    await browser.close();
    return { text, report, urls, origin, exitCode: browser.process()?.exitCode };
  } finally {
    await browser.close();
    await server.close();
  }
}

/** SHA-256 of the patches of an example's image, computed in Node. */
async function patchesOf(image: string): Promise<number[]> {
  const config = parseImageProcessorConfig(readFileSync(`${tiny}preprocessor_config.json`), 'config');
  const pixels = await loadImage(`${tiny}examples/${image}`, image);
  const { pixelValues } = preprocessImage(pixels, {}, config, image);
  return [...createHash('sha256').update(pixelValues).digest()];
}
