/** The turns of `m2 chat`: questions, commands, and their messages on stderr. */
import { GenerationError, ImageError, InputError, M2Error, PromptError } from '../errors.ts';
import type { Chat, ChatResult } from '../model/chat/chat.ts';
import { type LoadedImage, loadImage } from '../processor/image/imageSource.ts';
import { describeCut, describeSpeed, printAsItComes, showPrefill } from './answering.node.ts';
import type { LineInput } from './lineInput.node.ts';
import { UsageError } from './options.node.ts';
import type { Progress } from './progress.node.ts';
import { oneLine } from './text.ts';
import { ThinkingStyle } from './thinking.ts';

export const COMMANDS_HELP = `  /image FILE    PNG or JPEG for the next question; may be given several times
  /undo          removes the last question with its images and its answer
  /reset         begins a new conversation
  /help          shows this list
  /exit          ends the chat, like the end of the input

Ctrl-C stops an answer; at the prompt it ends the chat. A line that begins with a space is always a
question.
`;

export interface Talk {
  readonly chat: Pick<Chat, 'send' | 'undo'>;
  readonly input: LineInput;
  readonly progress: Progress;
  /** Whether reasoning is dimmed. */
  readonly styled: boolean;
  /** Ends the conversation and a running answer. */
  readonly signal: AbortSignal;
}

/**
 * Processes lines until there are no more. On a terminal, errors in a question are reported and the chat goes on. A script ends
 * with its first error.
 *
 * @throws UsageError for an unknown command or a wrong argument; errors as `loadImage` and `Chat.send`
 */
export async function converse(talk: Talk): Promise<void> {
  const { input, signal, progress } = talk;
  const pictures: LoadedImage[] = []; // for the next question
  for (let line = await input.next(); line !== undefined; line = await input.next()) {
    try {
      if (line.startsWith('/')) {
        if (/^\/exit(\s|$)/.test(line)) return;
        await runCommand(line, talk, pictures);
      } else if (line.trim() !== '') {
        await ask(line.trim(), pictures.splice(0), talk);
      }
    } catch (error) {
      if (!input.isTerminal || signal.aborted || !isMendable(error)) throw error;
      progress.clear();
      const code = error instanceof M2Error ? error.code : 'USAGE';
      process.stderr.write(`m2: ${oneLine(`${code}: ${error.message}`)}\n`);
    }
  }
}

async function runCommand(line: string, { chat, progress }: Talk, pictures: LoadedImage[]): Promise<void> {
  const [, name, argument] = /^(\S+)\s*(.*?)\s*$/s.exec(line) as RegExpExecArray;
  if (name === '/image') {
    if (argument === '') throw new UsageError('/image needs the path of a PNG or JPEG file');
    pictures.push(await loadImage(argument, name)); // now, to report a wrong path immediately
  } else if (name === '/undo') {
    progress.line(chat.undo() ? 'removed the last question and its answer' : 'nothing to undo');
  } else if (name === '/reset') {
    while (chat.undo()); // keeps the caches, which the next conversation may reuse
    pictures.length = 0;
    progress.line('a new conversation');
  } else if (name === '/help') {
    process.stderr.write(COMMANDS_HELP);
  } else {
    throw new UsageError(`unknown command ${name}, expected /image FILE, /undo, /reset, /help or /exit`);
  }
}

async function ask(question: string, pictures: readonly LoadedImage[], talk: Talk): Promise<void> {
  const { chat, input, progress, styled, signal } = talk;
  const shown = pictures.map((image) => ({ type: 'image' as const, image }));
  const stopping = new AbortController();
  input.onInterrupt = () => stopping.abort();
  try {
    const answer = chat.send([...shown, { type: 'text', text: question }], {
      signal: AbortSignal.any([signal, stopping.signal]),
      onProgress: (done) => showPrefill(done, progress),
    });
    await printAsItComes(answer, progress, styled ? new ThinkingStyle() : undefined);
    summarise(await answer.result, progress);
  } catch (error) {
    const isStopped = error instanceof GenerationError && error.code === 'GEN_ABORTED';
    if (!isStopped || signal.aborted) throw error;
    progress.line('stopped; this question is not part of the conversation');
  } finally {
    input.onInterrupt = null;
  }
}

function summarise(result: ChatResult, progress: Progress): void {
  const { timings, warnings, prefilledTokens } = result;
  for (const warning of warnings) progress.line(`warning: ${warning}`);
  const prompt = `prompt ${timings.promptTokens} tokens, ${prefilledTokens} of them new`;
  progress.line(`${describeSpeed(timings)}; ${prompt}${describeCut(result)}`);
}

/** Whether the chat can go on: the question is wrong, not a flag, the model or the GPU. */
function isMendable(error: unknown): error is Error {
  if (error instanceof GenerationError) return error.code !== 'GEN_RANGE';
  return [UsageError, ImageError, InputError, PromptError].some((kind) => error instanceof kind);
}
