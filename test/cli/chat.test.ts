import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { chat as command } from '../../src/cli/chat.node.ts';
import { converse, type Talk } from '../../src/cli/conversation.node.ts';
import { LineInput } from '../../src/cli/lineInput.node.ts';
import { UsageError } from '../../src/cli/options.node.ts';
import { GenerationError, ImageError, InputError } from '../../src/errors.ts';
import type { ChatResult } from '../../src/model/chat/chat.ts';
import { GenerationStream } from '../../src/model/generation/generationStream.ts';
import { bundledModel, runToEnd } from './helpers.ts';

const picture = join(bundledModel, 'examples', '01-count.png');
const scratch = mkdtempSync(join(tmpdir(), 'm2-chat-'));
afterAll(() => rmSync(scratch, { recursive: true }));
const CTRL_C = '\x03';

const quiet = new AbortController().signal; // never aborted

/** Input streams that are a terminal or not. */
function streams({ isTTY }: { isTTY: boolean }) {
  const stdin = Object.assign(new PassThrough(), { isTTY, setRawMode: () => {} });
  const stderr = Object.assign(new PassThrough(), { isTTY });
  stderr.resume();
  return { stdin, stderr };
}

describe('LineInput', () => {
  test('queues lines until they are requested', async () => {
    const lines = Array.from({ length: 3000 }, (_, i) => `line ${i}`);
    const io = streams({ isTTY: false });
    const input = new LineInput(quiet, io);
    const script = `${lines.join('\r\n')}\nlast without a line end`;
    for (let start = 0; start < script.length; start += 1000)
      io.stdin.write(script.slice(start, start + 1000));
    io.stdin.end();
    await setImmediate();
    const read: string[] = [];
    for (let line = await input.next(); line !== undefined; line = await input.next()) read.push(line);
    expect(read).toEqual([...lines, 'last without a line end']);
    expect(await input.next()).toBeUndefined();
  });

  test('an aborted signal ends a wait and drops the remaining lines', async () => {
    const stopping = new AbortController();
    const io = streams({ isTTY: false });
    const input = new LineInput(stopping.signal, io);
    const waiting = input.next();
    stopping.abort();
    expect(await waiting).toBeUndefined();

    const later = new AbortController();
    const { stdin, stderr } = streams({ isTTY: false });
    const full = new LineInput(later.signal, { stdin, stderr });
    stdin.write('one\ntwo\n');
    expect(await full.next()).toBe('one');
    later.abort();
    expect(await full.next()).toBeUndefined();
  });
});

describe('a conversation', () => {
  let [stdout, stderr, told]: [string, string, string[]] = ['', '', []];

  beforeEach(() => {
    [stdout, stderr, told] = ['', '', []];
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      stdout += text;
      return true;
    });
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      stderr += text;
      return true;
    });
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });

  /** A chat that repeats the question, but waits until it is stopped for `hang` and fails for `bad…`. */
  function talk(io: ReturnType<typeof streams>, onHang = () => {}) {
    const sent: string[][] = []; // of each part its text, otherwise its type
    let turns = 0;
    const send: Talk['chat']['send'] = (content, { signal } = {}) =>
      new GenerationStream(async (push) => {
        if (typeof content === 'string') throw new Error('parts are expected');
        const words = content.map((part) => (part.type === 'text' ? part.text : part.type));
        sent.push(words);
        const question = words.at(-1);
        if (question === 'bad flag') throw new GenerationError('GEN_RANGE', 'topP is 2');
        if (question === 'bad question') throw new InputError('INPUT_CONTEXT_OVERFLOW', 'too long');
        push(`<think>${question}</think>`);
        if (question === 'hang') {
          await new Promise((resolve) => {
            signal?.addEventListener('abort', resolve);
            onHang();
          });
          throw new GenerationError('GEN_ABORTED', 'generation was aborted');
        }
        turns++;
        const timings = { promptTokens: 9, newTokens: 3, prepareMs: 0, prefillMs: 0, decodeMs: 500 };
        return { timings, warnings: [], finishReason: 'eos', prefilledTokens: 4 } as unknown as ChatResult;
      });
    const undo = vi.fn(() => turns > 0 && turns-- > 0);
    const progress = { line: (text: string) => void told.push(text), update: () => {}, clear: () => {} };
    const input = new LineInput(quiet, io);
    return { sent, undo, talk: { chat: { send, undo }, input, progress, styled: false, signal: quiet } };
  }

  test('of a script: images are sent with the next question, commands are not sent', async () => {
    const io = streams({ isTTY: false });
    const { sent, undo, talk: script } = talk(io);
    const pictures = `/image ${picture}\n/image  ${picture} \n`;
    io.stdin.end(`${pictures}\none\n /two\n/help\n/undo\n/undo\n/undo\n/exit\nthree\n`);
    await converse(script);
    expect(sent).toEqual([['image', 'image', 'one'], ['/two']]);
    expect(stdout).toBe('<think>one</think>\n<think>/two</think>\n');
    expect(undo.mock.results.map(({ value }) => value)).toEqual([true, true, false]);
    const spent = '3 tokens in 0.50 s, 4.0 tokens/s; prompt 9 tokens, 4 of them new';
    const undone = 'removed the last question and its answer';
    expect(told).toEqual([spent, spent, undone, undone, 'nothing to undo']);
    expect(stderr).toContain('/undo ');
  });

  test.for([
    ['a missing picture', '/image nowhere.png', ImageError],
    ['/image without a path', '/image', UsageError],
    ['an unknown command', '/imge a.png', UsageError],
    ['a question that does not fit', 'bad question', InputError],
  ] as const)('of a script ends with its first error: %s', async ([, line, kind]) => {
    const io = streams({ isTTY: false });
    const { sent, talk: script } = talk(io);
    io.stdin.end(`${line}\nmore\n`);
    await expect(converse(script)).rejects.toBeInstanceOf(kind);
    expect(sent.flat()).not.toContain('more');
  });

  test('at a terminal: reported errors, Ctrl-C in an answer and at the prompt, /reset', async () => {
    const io = streams({ isTTY: true });
    const { sent, undo, talk: session } = talk(io, () => io.stdin.write(CTRL_C));
    const kill = vi.spyOn(process, 'kill').mockImplementation(() => {
      io.stdin.end();
      return true;
    });
    io.stdin.write(
      `/image nowhere.png\r/what now\rbad question\rhang\rgo on\r/image ${picture}\r/reset\rlast\r`,
    );
    const running = converse({ ...session, styled: true });
    await vi.waitUntil(() => sent.at(-1)?.[0] === 'last' && told.at(-1)?.includes('of them new'));
    expect(kill).not.toHaveBeenCalled();
    io.stdin.write(CTRL_C);
    await running;
    expect(kill.mock.calls).toEqual([[process.pid, 'SIGINT']]);
    expect(stderr.split('\n').map((line) => line.split(':').slice(0, 2).join(':'))).toEqual([
      'm2: IMAGE_NOT_FOUND',
      'm2: USAGE',
      'm2: INPUT_CONTEXT_OVERFLOW',
      '',
    ]);
    expect(told[0]).toMatch(/^stopped; /);
    expect(undo).toHaveLastReturnedWith(false);
    expect(sent).toEqual([['bad question'], ['hang'], ['go on'], ['last']]); // /reset dropped the image
    expect(stdout).toMatch(/^\S*hang\S*\n\S*go on\S*\n\S*last\S*\n$/);
    expect(stdout).toContain('\x1b[2m');
  });

  test('at a terminal: an error in a flag ends the chat', async () => {
    const io = streams({ isTTY: true });
    const { talk: session } = talk(io);
    io.stdin.write('bad flag\r');
    await expect(converse(session)).rejects.toMatchObject({ code: 'GEN_RANGE' });
    session.input.close();
  });
});

describe('m2 chat', () => {
  test.for([
    [['--beams', '2'], /--beams/],
    [['--logprobs', '2'], /--logprobs/],
    [['--preset', 'reference-default'], /reference-default uses 5 beams/],
    [['--context', '0'], /--context/],
    [['Hello'], /takes flags only/],
  ] as const)('wrong usage: %j', async ([args, message]) => {
    const running = command.run(args, quiet);
    await expect(running).rejects.toBeInstanceOf(UsageError);
    await expect(running).rejects.toThrow(message);
  });

  test('--help fits a terminal', () => {
    for (const line of command.help.split('\n')) expect(line.length).toBeLessThanOrEqual(100);
  });

  const example = 'weights/m2-tiny/examples/01-count.png';

  test('a script of several turns; /exit ends it while stdin is still open', async () => {
    const script = `/image ${example}\\nCount the yellow shapes.\\nIs it red?\\n/undo\\nIs it red?\\n/reset\\nHi\\n/exit\\n`;
    const fifo = join(scratch, 'stdin');
    // A FIFO opened for writing too never ends.
    const command = `mkfifo ${fifo} && exec 3<>${fifo} && printf '${script}' >&3 && exec node dist/cli.node.js chat --max-new-tokens 4 <&3`;
    const { exitCode, stdout, errorLines } = await runToEnd('bash', ['-c', command]);
    const [adapter, model, count, red, undone, redAgain, reset, hi, ...rest] = errorLines;
    expect(exitCode).toBe(0);
    expect([adapter, model]).toEqual([
      expect.stringMatching(/^adapter: /),
      expect.stringMatching(/^model: /),
    ]);
    const spent = (line: string) =>
      /^4 tokens in \d+\.\d\d s, \d+\.\d tokens\/s; prompt (\d+) tokens, (\d+) of them new; cut off/
        .exec(line)
        ?.slice(1)
        .map(Number) ?? [];
    const [countPrompt, countNew] = spent(count);
    expect(countNew).toBe(countPrompt);
    const [redPrompt, redNew] = spent(red);
    expect(redPrompt - redNew).toBeGreaterThan(countPrompt - 5); // everything up to the answer is reused
    expect(undone).toBe('removed the last question and its answer');
    expect(spent(redAgain)[0]).toBe(redPrompt);
    expect(reset).toBe('a new conversation');
    expect(spent(hi)[0]).toBeLessThan(countPrompt);
    expect(rest).toEqual([]);
    const answers = stdout.split(/^(?=<think>)/m);
    expect(answers).toHaveLength(4);
    expect(answers[2]).toBe(answers[1]);
    expect(stdout.endsWith('\n')).toBe(true);
    expect(stdout).not.toContain('\x1b');
  });

  test('a script exits with 3 at a question that does not fit the context', async () => {
    const command = "printf 'Hi\\nHi\\n' | node dist/cli.node.js chat --quiet --context 5";
    const { exitCode, stdout, errorLines } = await runToEnd('bash', ['-c', command]);
    expect(errorLines).toEqual([expect.stringMatching(/^m2: INPUT_CONTEXT_OVERFLOW: /)]);
    expect([exitCode, stdout]).toEqual([3, '']);
  });

  test('the end of the input ends it with 0', async () => {
    const command = 'node dist/cli.node.js chat --quiet < /dev/null';
    expect(await runToEnd('bash', ['-c', command])).toEqual({ exitCode: 0, stdout: '', errorLines: [] });
  });
});
