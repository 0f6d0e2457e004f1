import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { adapters } from '../../src/cli/adapters.node.ts';
import type { Command } from '../../src/cli/command.ts';
import { generate } from '../../src/cli/generate.node.ts';
import { inspect } from '../../src/cli/inspect.node.ts';
import { UsageError } from '../../src/cli/options.node.ts';
import { parity } from '../../src/cli/parity.node.ts';
import { readFixtures } from '../processor/fixtures.ts';
import { bundledModel, inProcess, m2 } from './helpers.ts';

const scratch = mkdtempSync(join(tmpdir(), 'm2-cli-'));
afterAll(() => rmSync(scratch, { recursive: true }));

const picture = join(bundledModel, 'examples', '01-count.png');
const missing = join(scratch, 'missing');
const textFile = join(scratch, 'notes.png');
writeFileSync(textFile, 'This is no picture, whatever its name says.\n');
const cutPicture = join(scratch, 'cut.png');
writeFileSync(cutPicture, readFileSync(picture));
truncateSync(cutPicture, 9000);
const unlikeFrames = join(scratch, 'unlike');
mkdirSync(unlikeFrames);
copyFileSync(picture, join(unlikeFrames, '1.png'));
const [{ file: smallPicture }] = readFixtures();
writeFileSync(join(unlikeFrames, '2.PNG'), smallPicture);
const noFrames = join(scratch, 'none');
mkdirSync(noFrames);
const corruptPicture = join(scratch, 'corrupt.png');
writeFileSync(corruptPicture, readFileSync(picture).fill(0xff, 2000, 2040));

/** [what is wrong, arguments of `m2`, a pattern for the line on stderr] */
const wrongUsage: [string, string[], RegExp][] = [
  ['no command', [], /no command.*m2 --help$/],
  ['unknown command', ['generat'], /unknown command generat.*m2 --help$/],
  ['unknown flag', ['generate', '--imge', picture, 'Hi'], /--imge.*m2 generate --help$/],
  ['missing value', ['generate', 'Hi', '--model'], /--model.*m2 generate --help$/],
];

/** [what is wrong, arguments, a pattern for the error] */
const wrongFlags: [string, string[], RegExp][] = [
  ['a flag as value', ['generate', 'Hi', '--model', '--json'], /--model/],
  ['a value for a switch', ['generate', 'Hi', '--json=yes'], /--json/],
  ['empty path', ['generate', 'Hi', '--model', ''], /--model/],
  ['no question', ['generate', '--image', picture], /question/],
  ['frames without a question', ['generate', '--frames', unlikeFrames], /question/],
  ['no folder of frames', ['generate', 'Hi', '--frames', ''], /--frames is empty/],
  ['two questions', ['generate', 'What', 'is this?'], /"is this\?"/],
  ['no number', ['generate', 'Hi', '--temperature', 'warm'], /--temperature is "warm"/],
  ['a seed too large', ['generate', 'Hi', '--seed', '18446744073709551616'], /--seed/],
  ['no preset', ['generate', 'Hi', '--preset', 'best'], /--preset is "best"/],
  ['no tokens', ['generate', 'Hi', '--max-new-tokens', '0'], /--max-new-tokens is "0"/],
  ['no whole number', ['generate', 'Hi', '--max-new-tokens', '1e3'], /--max-new-tokens is "1e3"/],
  ['huge number', ['generate', 'Hi', '--max-new-tokens', '9'.repeat(20)], /--max-new-tokens/],
  [
    'unknown template',
    ['generate', 'Hi', '--prompt-template', 'chatml'],
    /--prompt-template.*reference or jinja/,
  ],
  ['unknown quirks', ['generate', 'Hi', '--quirks', 'none'], /--quirks.*reference or fixed/],
  ['inspect: bad limit', ['inspect', '--max-binding-mib', '-1'], /--max-binding-mib/],
  ['inspect: two folders', ['inspect', 'a', 'b'], /"b"/],
  ['parity: no folder', ['parity'], /--goldens/],
  ['parity: an argument', ['parity', 'goldens'], /goldens/],
  ['adapters: an argument', ['adapters', 'all'], /all/],
];

/** [what is wrong, arguments of `m2`, the error's code or its beginning]: one for each class of error, and one with newlines to escape */
const wrongInput: [string, string[], string][] = [
  ['no such model', ['generate', '--model', missing, 'Hi'], 'CKPT_FILE_MISSING'],
  ['a folder without a model', ['generate', '--model', scratch, 'Hi'], 'CONFIG_MISSING'],
  ['a corrupt image', ['generate', '--image', corruptPicture, 'Hi'], 'IMAGE_'],
  ['line ends in a path', ['generate', '--image', 'a\nb\x1b[2Jc', 'Hi'], 'IMAGE_NOT_FOUND'],
  ['more tokens than the context', ['generate', '--quiet', 'word '.repeat(5000)], 'INPUT_CONTEXT_OVERFLOW'],
];

/** [what is wrong, arguments, the error's code or its beginning] */
const wrongFiles: [string, string[], string][] = [
  ['a file as model', ['generate', '--model', textFile, 'Hi'], 'CKPT_FILE_MISSING'],
  ['no such image', ['generate', '--image', missing, 'Hi'], 'IMAGE_NOT_FOUND'],
  ['a folder as image', ['generate', '--image', scratch, 'Hi'], 'IMAGE_NOT_FOUND'],
  ['a device as image', ['generate', '--image', '/dev/null', 'Hi'], 'IMAGE_NOT_FOUND'],
  ['a remote image', ['generate', '--image', 'https://example.org/a.png', 'Hi'], 'IMAGE_UNSUPPORTED'],
  ['text as image', ['generate', '--image', textFile, 'Hi'], 'IMAGE_UNSUPPORTED'],
  ['a cut image', ['generate', '--image', cutPicture, 'Hi'], 'IMAGE_'],
  ['no path', ['generate', '--image', '', 'Hi'], 'INPUT_EMPTY'],
  [
    'too many images',
    ['generate', ...Array(33).fill(['--image', picture]).flat(), 'Hi'],
    'INPUT_TOO_MANY_IMAGES',
  ],
  ['no such folder of frames', ['generate', '--frames', missing, 'Hi'], 'IMAGE_NOT_FOUND'],
  ['a file as folder of frames', ['generate', '--frames', picture, 'Hi'], 'IMAGE_NOT_FOUND'],
  ['a folder without frames', ['generate', '--frames', noFrames, 'Hi'], 'IMAGE_NOT_FOUND'],
  ['inspect: no such model', ['inspect', missing], 'CKPT_FILE_MISSING'],
  // found after the model is loaded
  ['frames of two sizes', ['generate', '--quiet', '--frames', unlikeFrames, 'Hi'], 'INPUT_FRAME_SIZE'],
  [
    'more <image> than images',
    ['generate', '--quiet', '--image', picture, '<image> and <image>'],
    'INPUT_IMAGE_COUNT',
  ],
];

const noDriver = { VK_DRIVER_FILES: join(scratch, 'no-driver.json') };

describe.concurrent('bad input gives one line on stderr, nothing on stdout, and an exit code', () => {
  test.for(wrongUsage)('2: %s', async ([, args, message]) => {
    const { exitCode, stdout, errorLines } = await m2(args);
    expect([exitCode, stdout]).toEqual([2, '']);
    expect(errorLines).toEqual([expect.stringMatching(/^m2: USAGE: .*; see m2 (\w+ )?--help$/)]);
    expect(errorLines[0]).toMatch(message);
  });

  test.for(wrongInput)('3: %s', async ([, args, code]) => {
    const { exitCode, stdout, errorLines } = await m2(args);
    expect(errorLines).toEqual([expect.stringMatching(new RegExp(`^m2: ${code}\\w*: .+$`))]);
    expect([exitCode, stdout]).toEqual([3, '']);
  });

  test('3: parity without cases', async () => {
    const { exitCode, stdout, errorLines } = await m2(['parity', '--goldens', scratch]);
    expect([exitCode, stdout]).toEqual([3, '']);
    expect(errorLines.at(-1)).toMatch(/^m2: PARITY_GOLDEN_MISSING: /);
  });

  test('4: no adapter', async () => {
    const { exitCode, stdout, errorLines } = await m2(['generate'], { env: noDriver });
    expect(errorLines).toEqual([expect.stringMatching(/^m2: GPU_NO_ADAPTER: .*VK_DRIVER_FILES/)]);
    expect([exitCode, stdout]).toEqual([4, '']);
  });

  test('1: an unexpected error', async () => {
    const breakJson = "JSON.parse = () => { throw new RangeError('two\\nlines'); }";
    const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(breakJson)}` };
    const ended = await m2(['--version'], { env });
    expect([ended.exitCode, ended.stdout]).toEqual([1, '']);
    expect(ended.errorLines).toEqual([
      expect.stringMatching(/^m2: unexpected: RangeError: two lines; .* please report it/),
    ]);
    const debugged = await m2(['--version'], { env: { ...env, M2_DEBUG: '1' } });
    expect(debugged.errorLines.length).toBeGreaterThan(1);
  });
});

describe('a command refuses, and writes only the error', () => {
  const commands: Record<string, Command> = { generate, inspect, parity, adapters };

  test.for(wrongFlags)('%s', async ([, [name, ...args], message]) => {
    const written: [string, string] = ['', ''];
    const error = await inProcess(commands[name], args, written).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(UsageError);
    expect(error.message).toMatch(message);
    expect(written).toEqual(['', '']);
  });

  test.for(wrongFiles)('%s', async ([, [name, ...args], code]) => {
    const written: [string, string] = ['', ''];
    const error = await inProcess(commands[name], args, written).catch((thrown) => thrown);
    expect(error.code).toMatch(new RegExp(`^${code}`));
    expect(written).toEqual(['', '']);
  });
});
