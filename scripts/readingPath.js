// Measures a newcomer's reading path: from `generate` to the last kernel, with plain kernels and a PNG, in chapters.
//
//   npm run path            files, code lines and minutes of each chapter
//   npm run path -- --files the same for each file
//
// Code lines are neither blank nor comments. Beam search, sampling, chat, other image formats, checks of damaged files and the fast
// kernels are not on the path: they are not needed to follow one answer. Of a kernel's declaration only the parts that run are
// counted (bindings, params, constants, dispatch, reference), not its cases and costs.

// @ts-check
import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const CODE_LINES_PER_MINUTE = 15;

/** The chapters in reading order. A folder stands for all its files. */
export const CHAPTERS = /** @type {const} */ ([
  [
    'an answer, as calls',
    [
      'src/model/m2Reasoning.ts',
      ...inFolder('src/model/generation', 'generate preparePrompt sequence decodeLoop tokenChooser'),
    ],
  ],
  [
    'messages to ids',
    [
      'src/processor/processor.ts',
      ...inFolder('src/processor/text', 'messages prompt expandImages tokenizer'),
    ],
  ],
  [
    'pixels to patches',
    [...inFolder('src/processor/image', 'image png'), ...inFolder('src/processor', 'resize patches')],
  ],
  [
    'vision tower',
    inFolder(
      'src/model/graph',
      'embedPrompt embedTokens imageFeatures vision windows rotaryTables projector',
    ),
  ],
  ['decoder', inFolder('src/model/graph', 'modelParts weights positions kvCache decoder linear attention')],
  [
    'plain kernels',
    [
      'src/kernels/plain',
      'src/kernels/choose/argmax.ts',
      'src/kernels/choose/argmax.wgsl',
      'src/kernels/choose/reference/argmax.ts',
      ...['erf', 'flatGroup', 'onlineSoftmax', 'readWeight', 'workgroupReduce'].map(
        (name) => `src/kernels/shared/${name}.wgsl`,
      ),
    ],
  ],
  [
    'the GPU underneath',
    inFolder(
      'src/gpu',
      'device tensor declaration kernel shapes pass encode compile dispatch params wgslInterface',
    ),
  ],
]);

/** @param {string} folder @param {string} names */
function inFolder(folder, names) {
  return names.split(' ').map((name) => `${folder}/${name}.ts`);
}

/** The files of the path with their code lines, by chapter. */
export function readingPath() {
  return CHAPTERS.map(([title, places]) => ({
    title,
    files: places
      .flatMap(filesAt)
      .map((file) => ({ file, lines: codeLines(readFileSync(root + file, 'utf8')) })),
  }));
}

/** @param {string} place @returns {string[]} */
function filesAt(place) {
  if (/\.\w+$/.test(place)) return [place];
  const paths = readdirSync(root + place, { recursive: true, encoding: 'utf8' });
  return paths.filter((path) => /\.(ts|wgsl)$/.test(path)).map((path) => `${place}/${path}`);
}

/** @param {string} text */
function codeLines(text) {
  const runs = text.replace(/(\n {2}reference: \w+,\n)[\s\S]*/, '$1});');
  const code = runs.replace(/\/\*[\s\S]*?\*\//g, '').split('\n');
  return code.filter((line) => line.trim() !== '' && !line.trim().startsWith('//')).length;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const byFile = process.argv.includes('--files');
  let total = 0;
  for (const { title, files } of readingPath()) {
    const lines = files.reduce((sum, file) => sum + file.lines, 0);
    total += lines;
    row(title, `${files.length} files`, lines);
    if (byFile) for (const file of files) row(`  ${basename(file.file)}`, '', file.lines);
  }
  row('in all', '', total);
}

/** @param {string} title @param {string} files @param {number} lines */
function row(title, files, lines) {
  const minutes = `${Math.max(1, Math.round(lines / CODE_LINES_PER_MINUTE))} min`;
  console.log(
    `${title.padEnd(24)} ${files.padStart(9)} ${String(lines).padStart(6)} lines ${minutes.padStart(8)}`,
  );
}
