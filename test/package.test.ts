import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { useSwiftShader } from '../src/gpu/softwareAdapter.node.ts';
import { readJson } from './readTensors.ts';

const root = new URL('..', import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), 'm2-package-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('the packed package installs in an empty folder and answers there', async () => {
  const packed = execFileSync('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder], {
    cwd: root,
    encoding: 'utf8',
  });
  writeFileSync(join(folder, 'package.json'), '{ "private": true }');
  const install = [
    'install',
    '--no-audit',
    '--no-fund',
    '--prefer-offline',
    '--silent',
    join(folder, packed.trim()),
  ];
  execFileSync('npm', install, { cwd: folder });

  // The package itself has no software driver: it gets that of this repository, as a person's own choice of driver.
  if (!process.env.VK_DRIVER_FILES) await useSwiftShader();
  const installed = join(folder, 'node_modules/m2-reasoning');
  const answer = execFileSync('node', [join(installed, 'examples/01-ask-about-a-picture.js')], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env },
  });
  const [example] = readJson(join(installed, 'weights/m2-tiny/examples/examples.json'));
  expect(answer).toContain(example.reference_output);

  const version = execFileSync(join(folder, 'node_modules/.bin/m2'), ['--version'], { encoding: 'utf8' });
  expect(version.trim()).toBe(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version);
});
