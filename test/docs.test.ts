/** The documents agree with the code: quoted code, links, quirks, kernels, error codes, section numbers, lines to read. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { readingPath } from '../scripts/readingPath.js';
import { kernels } from '../src/kernels/kernelSet.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const textOf = (path: string) => readFileSync(join(root, path), 'utf8');

const documents = [
  ...['README.md', 'weights/README.md', 'weights/m2-tiny/README.md', 'test/goldens/README.md'],
  ...readdirSync(join(root, 'docs')).flatMap((name) => (name.endsWith('.md') ? [`docs/${name}`] : [])),
];
const LONGEST_LINE = 140;
const sources = readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && /\.(ts|wgsl)$/.test(entry.name))
  .map((entry) => relative(root, join(entry.parentPath, entry.name)));

describe('documents', () => {
  it('are found', () => {
    expect(documents).toContain('docs/MODEL.md');
    expect(documents).toContain('docs/WHY.md');
    expect(sources).toContain(join('src', 'errors.ts'));
  });

  for (const document of documents) {
    it(`${document}: code marked with its file is in that file`, () => {
      for (const { file, code } of quotedCode(textOf(document))) {
        expect(existsSync(join(root, file)), `${document} quotes ${file}, which does not exist`).toBe(true);
        expect(
          textOf(file).includes(code),
          `${file} does not contain what ${document} quotes:\n${code}`,
        ).toBe(true);
      }
    });

    it(`${document}: relative links lead to files`, () => {
      const targets = relativeLinks(textOf(document));
      const broken = targets.filter(({ file }) => !existsSync(resolve(root, dirname(document), file)));
      expect(broken.map(({ file }) => file)).toEqual([]);
    });

    it(`${document}: anchors of links are headings`, () => {
      const broken = relativeLinks(textOf(document)).filter(({ file, anchor }) => {
        if (anchor === '') return false;
        const path = file === '' ? document : relative(root, resolve(root, dirname(document), file));
        return !headingAnchors(textOf(path)).includes(anchor);
      });
      expect(broken).toEqual([]);
    });

    it(`${document}: no line of prose is longer than ${LONGEST_LINE} characters`, () => {
      expect(proseLines(textOf(document)).filter((line) => [...line].length > LONGEST_LINE)).toEqual([]);
    });
  }

  it('quote the smallest kernel: its text, its declaration, its definition', () => {
    const quoted = quotedCode(textOf('docs/KERNELS.md')).map(({ file }) => file);
    expect(quoted).toEqual(
      expect.arrayContaining([
        'src/kernels/plain/rmsNorm.wgsl',
        'src/kernels/plain/rmsNorm.ts',
        'src/kernels/plain/reference/rmsNorm.ts',
      ]),
    );
  });
});

describe('docs/MODEL.md', () => {
  const model = textOf('docs/MODEL.md');

  it('section 9 has a row for each QUIRK(name) of the code, and no other', () => {
    const inCode = sources.flatMap((path) => matches(textOf(path), /QUIRK\(([\w-]+)\)/g));
    const rows = matches(sectionOf(model, 9), /^\| `([\w-]+)` \|/gm);
    expect(rows.length).toBeGreaterThan(0);
    expect(sorted(rows)).toEqual(sorted(inCode));
    expect(rows.length, 'a quirk has two rows').toBe(new Set(rows).size);
  });

  it('has every section that the code cites', () => {
    const sections = matches(model, /^## (\d+)\. /gm);
    const cited = sources.flatMap((path) =>
      matches(textOf(path), /docs\/MODEL\.md,\s+(?:\*\s+|\/\/\s+)?section (\d+)/g).map((section) => ({
        path,
        section,
      })),
    );
    expect(cited.length).toBeGreaterThan(0);
    expect(cited.filter(({ section }) => !sections.includes(section))).toEqual([]);
  });

  it('section 8 has a row for each tap of the code', () => {
    const inCode = sources.flatMap((path) => matches(textOf(path), /\.tap(?:Array)?\(\s*['`]([^'`]+)/g));
    const names = inCode.map((name) => name.replace(/\$\{\w+\}/, '0'));
    const rows = sectionOf(model, 8);
    expect(names.length).toBeGreaterThan(0);
    expect(names.filter((name) => !rows.includes(`\`${name}\``))).toEqual([]);
  });
});

describe('docs/WHY.md', () => {
  it('has the chapters, files and, within 5 %, the lines that `npm run path` counts', () => {
    const chapters = readingPath().map(({ title, files }) => ({
      title,
      files: files.length,
      lines: linesOf(files),
    }));
    const rows = textOf('docs/WHY.md').matchAll(/^\| ([^|]+) \| (\d+) \| (\d+) \| \d+ \|/gm);
    const stated = Array.from(rows, ([, title, files, lines]) => ({ title, files: +files, lines: +lines }));
    expect(stated.map(({ title, files }) => [title, files])).toEqual(
      chapters.map(({ title, files }) => [title, files]),
    );
    for (const [i, { lines }] of stated.entries()) expect(lines / chapters[i].lines).toBeCloseTo(1, 1);
  });
});

function linesOf(files: readonly { lines: number }[]): number {
  return files.reduce((sum, { lines }) => sum + lines, 0);
}

describe('docs/KERNELS.md', () => {
  it('has a row for each kernel, and no other', () => {
    const rows = matches(textOf('docs/KERNELS.md'), /^\| \[(\w+)\]\(/gm);
    expect(sorted(rows)).toEqual(sorted(Object.keys(kernels)));
    expect(rows.length, 'a kernel has two rows').toBe(new Set(rows).size);
  });
});

describe('docs/ERRORS.md', () => {
  const rows = matches(textOf('docs/ERRORS.md'), /^\| `([A-Z0-9_]+)` \|/gm);
  const errors = join('src', 'errors.ts');
  const declared = matches(textOf(errors), /\| '([A-Z0-9_]+)'/g);

  it('lists codes that exist', () => {
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.filter((code) => !declared.includes(code))).toEqual([]);
    expect(rows.length, 'a code has two rows').toBe(new Set(rows).size);
  });

  it('lists every code that the code throws', () => {
    const quoted = sources
      .filter((path) => path !== errors)
      .flatMap((path) => matches(textOf(path), /'([A-Z0-9]+_[A-Z0-9_]+)'/g));
    const thrown = declared.filter((code) => quoted.includes(code));
    expect(thrown.length).toBeGreaterThan(0);
    expect(thrown.filter((code) => !rows.includes(code))).toEqual([]);
    expect(rows.filter((code) => !thrown.includes(code))).toEqual([]);
  });

  it('names the class of each code', () => {
    for (const [, code, name] of textOf('docs/ERRORS.md').matchAll(/^\| `([A-Z0-9_]+)` \| (\w+) \|/gm)) {
      expect(textOf(errors)).toContain(`export class ${name} extends M2Error`);
      expect(classesOf(code), code).toContain(name);
    }
  });

  /** Classes named in the comment above the code's group in errors.ts. */
  function classesOf(code: string): string[] {
    const before = textOf(errors).split(`| '${code}'`)[0];
    return matches(before.slice(before.lastIndexOf('//')).split('\n')[0], /(\w+Error)/g);
  }
});

/** Fenced blocks after a line `<!-- from: path -->`. */
function quotedCode(markdown: string): { file: string; code: string }[] {
  const blocks = markdown.matchAll(/<!-- from: (\S+) -->\n```\w*\n([\s\S]*?)\n```/g);
  const quoted = Array.from(blocks, ([, file, code]) => ({ file, code }));
  expect(quoted.length, 'a marker without a block behind it').toBe(matches(markdown, /(<!-- from:)/g).length);
  return quoted;
}

/** Targets of inline links within the repository: a file ('' is the document itself) and an anchor in it; code is left out. */
function relativeLinks(markdown: string): { file: string; anchor: string }[] {
  const targets = matches(withoutCodeBlocks(markdown).replace(/`[^`\n]*`/g, ''), /\]\(([^)\s]+)\)/g);
  return targets
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => {
      const [file, anchor = ''] = decodeURI(target).split('#');
      return { file, anchor };
    });
}

/** The anchors that GitHub gives to headings: lower case, no punctuation, hyphens for spaces. */
function headingAnchors(markdown: string): string[] {
  const headings = matches(withoutCodeBlocks(markdown), /^#+ (.+)$/gm);
  return headings.map((heading) =>
    heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replace(/ /g, '-'),
  );
}

/** Lines outside of code blocks and tables. */
function proseLines(markdown: string): string[] {
  const lines = withoutCodeBlocks(markdown).split('\n');
  return lines.filter((line) => !line.trimStart().startsWith('|'));
}

function withoutCodeBlocks(markdown: string): string {
  return markdown.replace(/^ *```[\s\S]*?^ *```/gm, '');
}

function sectionOf(markdown: string, section: number): string {
  const [, behind = ''] = markdown.split(new RegExp(`^## ${section}\\. .*$`, 'm'));
  return behind.split(/^## /m)[0];
}

/** The first group of every match. */
function matches(text: string, pattern: RegExp): string[] {
  return Array.from(text.matchAll(pattern), ([, group]) => group);
}

function sorted(names: readonly string[]): string[] {
  return [...new Set(names)].sort();
}
