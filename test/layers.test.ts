/** The rules for imports in docs/MODEL.md, "Layers". The graph never imports a fast kernel. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, normalize } from 'node:path';
import { expect, it } from 'vitest';

const sources = readdirSync('src', { recursive: true, encoding: 'utf8' }).map((path) => join('src', path));
const typescript = sources.filter((path) => path.endsWith('.ts'));

function importsOf(file: string): string[] {
  const specifiers = readFileSync(file, 'utf8').matchAll(/(?:from |import\()'(\.[^']+)'/g);
  return Array.from(specifiers, ([, specifier]) => normalize(join(dirname(file), specifier)));
}

/** Every import in `folder` from one of `others`, as `file: imported`. */
function imports(folder: string, others: readonly string[]): string[] {
  return typescript
    .filter((file) => file.startsWith(`${folder}/`))
    .flatMap((file) => importsOf(file).map((imported) => ({ file, imported })))
    .filter(({ imported }) => others.some((other) => imported.startsWith(`${other}/`)))
    .map(({ file, imported }) => `${file}: ${imported}`);
}

it.each([
  ['src/gpu', ['src/kernels', 'src/model', 'src/processor', 'src/parity', 'src/cli']],
  ['src/kernels', ['src/model', 'src/processor', 'src/parity', 'src/cli', 'src/gpu/measure']],
  ['src/kernels/plain', ['src/kernels/fast', 'src/kernels/choose']],
  ['src/processor', ['src/gpu', 'src/kernels', 'src/model', 'src/parity', 'src/cli']],
  ['src/model', ['src/parity', 'src/cli']],
  [
    'src/model/graph',
    ['src/kernels/fast', 'src/model/fast', 'src/model/load', 'src/model/generation', 'src/model/chat'],
  ],
  ['src/model/generation', ['src/kernels/fast', 'src/model/fast', 'src/model/load', 'src/model/chat']],
  ['src/model/chat', ['src/kernels/fast', 'src/model/fast', 'src/model/load']],
  ['src/parity', ['src/cli']],
])('%s imports nothing from %j', (folder, others) => {
  expect(imports(folder, others)).toEqual([]);
});

it('the graph does not contain the word fast', () => {
  const graph = typescript.filter((file) => file.startsWith('src/model/graph/'));
  expect(graph.length).toBeGreaterThan(10);
  expect(graph.filter((file) => /fast/i.test(readFileSync(file, 'utf8')))).toEqual([]);
});

it('no two files share a name, except a kernel and its reference', () => {
  const names = typescript.filter((file) => !file.includes('/reference/')).map((file) => basename(file));
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
});
