import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { generate } from '../../src/cli/generate.node.ts';
import { UsageError } from '../../src/cli/options.node.ts';
import type { GenerationResult } from '../../src/model/generation/generateOptions.ts';
import type { TokenLogprobs } from '../../src/model/generation/tokenLogprobs.ts';
import { bundledModel, inProcess, m2, runToEnd } from './helpers.ts';

const examples = JSON.parse(readFileSync(join(bundledModel, 'examples', 'examples.json'), 'utf8'));
const pathOf = (image: string) => join(bundledModel, 'examples', image);
const run = (...args: string[]) => inProcess(generate, args);

function eventsIn(stdout: string): { event: string; text?: string }[] {
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

function resultIn(stdout: string): GenerationResult {
  const last = eventsIn(stdout).at(-1);
  expect(last?.event).toBe('result');
  return last as unknown as GenerationResult;
}

// One after the other: a software adapter uses every core already.
describe('m2 generate', () => {
  test('npm start asks the bundled model its first example and prints the answer of the reference', async () => {
    const { exitCode, stdout, errorLines } = await runToEnd('npm', ['start', '--silent']);
    expect(stdout).toBe(`${examples[0].reference_output}\n`);
    expect(exitCode).toBe(0);
    expect(errorLines).toContainEqual(expect.stringMatching(/^adapter: .+/));
    expect(errorLines).toContainEqual(
      expect.stringMatching(/^asking: .*01-count\.png, "Count the yellow shapes\."$/),
    );
    expect(errorLines).toContainEqual(expect.stringMatching(/^answer: \d+ tokens in .* tokens\/s$/));
  });

  test('--model, --image, --system and a question; --quiet leaves stderr empty', async () => {
    const { image, question, system, reference_output } = examples[1];
    const flags = ['--quiet', '--model', bundledModel, '--image', pathOf(image), '--system', system];
    expect(await run(...flags, question)).toEqual({
      exitCode: 0,
      stdout: `${reference_output}\n`,
      errorLines: [],
    });
  });

  test('--json prints events, one per line, and nothing else', async () => {
    const { image, question, system, reference_output, input_ids, output_ids } = examples[0];
    const flags = ['--json', '--logprobs', '1', '--image', pathOf(image), '--system', system];
    const { exitCode, stdout } = await run(...flags, question);
    expect(exitCode).toBe(0);
    expect(stdout.endsWith('}\n')).toBe(true);
    const events = eventsIn(stdout);
    const [model, prompt, ...texts] = events.slice(0, -1);
    const adapter = expect.stringMatching(/.+/);
    expect(model).toEqual({ event: 'model', adapter, folder: bundledModel, warnings: [] });
    expect(prompt).toEqual({ event: 'prompt', promptTokens: input_ids.length });
    expect(new Set(texts.map(({ event }) => event))).toEqual(new Set(['text']));
    expect(texts.length).toBeGreaterThan(10);
    expect(texts.map(({ text }) => text).join('')).toBe(reference_output);
    const { logprobs, ...result } = events.at(-1) as { event: string; logprobs: TokenLogprobs[] };
    expect(result).toEqual({
      event: 'result',
      text: reference_output,
      think: expect.stringContaining('So the count is 2.'),
      answer: '\\boxed{2}',
      boxed: '2',
      wellFormed: true,
      finishReason: 'eos',
      tokens: output_ids,
      timings: expect.objectContaining({
        promptTokens: input_ids.length,
        newTokens: output_ids.length,
        prepareMs: expect.any(Number),
        prefillMs: expect.any(Number),
        decodeMs: expect.any(Number),
      }),
      adapter,
      model: bundledModel,
      warnings: [],
    });
    expect(logprobs.map(({ token }) => token)).toEqual(output_ids);
    for (const { top, ...chosen } of logprobs) expect(top).toEqual([chosen]); // greedy: the most likely token
    expect(logprobs[0].text).toBe('<think>');
  });

  test('a limit cuts off the answer, and a message says so', async () => {
    const { exitCode, stdout, errorLines } = await run('--max-new-tokens', '2', 'Hello');
    expect([exitCode, stdout.endsWith('\n')]).toEqual([0, true]);
    expect(errorLines.at(-1)).toContain('cut off by --max-new-tokens');
  });

  test('several images give a warning about their layout, unless quirks are fixed', async () => {
    const images = examples
      .slice(0, 2)
      .flatMap((example: { image: string }) => ['--image', pathOf(example.image)]);
    const args = ['--json', '--max-new-tokens', '1', ...images, 'Which is larger?'];
    const asPublished = await run(...args);
    const fixed = await run(...args, '--quirks', 'fixed');
    expect(resultIn(asPublished.stdout).warnings).toEqual([expect.stringContaining('several images')]);
    expect(asPublished.errorLines).toContainEqual(expect.stringMatching(/^warning: several images/));
    expect(resultIn(fixed.stdout).warnings).toEqual([]);
  });

  test('--frames reads the images of a folder, ordered by name, as one clip', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'm2-frames-'));
    for (const name of ['2.png', '1.PNG']) copyFileSync(pathOf(examples[0].image), join(folder, name));
    writeFileSync(join(folder, 'notes.txt'), 'no picture\n');
    const flags = ['--json', '--max-new-tokens', '3', '--frames', folder];
    const { exitCode, stdout, errorLines } = await run(...flags, 'Count the yellow shapes.');
    rmSync(folder, { recursive: true });
    expect(exitCode).toBe(0);
    expect(errorLines).toContainEqual(expect.stringMatching(/^asking: \S*1\.PNG, \S*2\.png, "Count/));
    const { tokens, timings, warnings } = resultIn(stdout);
    expect(tokens).toHaveLength(3);
    // One temporal patch of 11 x 13 merged tokens: a frame has at least 128 * 28^2 pixels.
    expect(timings.promptTokens).toBeGreaterThan(143);
    expect(timings.promptTokens).toBeLessThan(2 * 143);
    expect(warnings).toEqual([]);
  });

  test("--prompt-template jinja renders with the model's own template", async () => {
    const pace = ['--prompt-lookup', '--steps-per-wait', '2']; // these do not change the tokens
    const args = ['--json', '--max-new-tokens', '1', '--prompt-template', 'jinja', ...pace, 'Hello'];
    const { exitCode, stdout } = await run(...args);
    expect(exitCode).toBe(0);
    expect(resultIn(stdout).tokens).toHaveLength(1);
  });
});

describe('a generation that is left early', () => {
  test('a reader that closes the pipe ends it silently', async () => {
    const command = 'node dist/cli.node.js generate | head -c 5';
    const ended = await runToEnd('bash', ['-o', 'pipefail', '-c', command]);
    expect([ended.exitCode, ended.stdout]).toEqual([0, '<thin']);
    expect(ended.errorLines.filter((line) => line.startsWith('m2: '))).toEqual([]);
  });

  test('SIGINT during the answer ends it with 130 before the answer is complete', async () => {
    const { exitCode, stdout, errorLines } = await m2(['generate', '--quiet'], {
      onStart: (child) => child.stdout?.once('data', () => child.kill('SIGINT')),
    });
    expect(exitCode).toBe(130);
    expect(stdout.length).toBeLessThan(examples[0].reference_output.length);
    expect(errorLines).toEqual([]);
  });

  test('SIGINT during loading', async () => {
    const { exitCode, stdout } = await m2(['generate'], {
      // The first output of Dawn and of the command comes shortly before and after the load.
      onStart: (child) => child.stderr?.once('data', () => child.kill('SIGINT')),
    });
    expect([exitCode, stdout]).toEqual([130, '']);
  });

  test('sampling: the same seed gives the same answer', async () => {
    const flags = ['--preset', 'model-page', '--seed', '18446744073709551615', '--max-new-tokens', '6'];
    const draw = () => run('--quiet', ...flags, 'Is there a red circle?');
    const first = await draw();
    expect(first.exitCode).toBe(0);
    expect((await draw()).stdout).toBe(first.stdout);
  });

  test('a value out of range is reported in one line as wrong usage', async () => {
    const { exitCode, stdout, errorLines } = await m2(['generate', '--quiet', '--top-p', '2', 'Hi']);
    expect([exitCode, stdout]).toEqual([2, '']);
    expect(errorLines).toEqual([expect.stringMatching(/^m2: GEN_RANGE: topP is 2; give/)]);
  });

  test('--logprobs is refused without --json', async () => {
    const running = generate.run(['--logprobs', '2', 'Hi'], new AbortController().signal);
    await expect(running).rejects.toThrow(new UsageError('--logprobs needs --json'));
  });
});
