/** The turns of `m2 chat`: questions, the commands between them, and what is said of them on stderr. */
import { GenerationError, ImageError, InputError, M2Error, PromptError } from '../errors.ts';
import type { Chat, ChatResult } from '../model/chat/chat.ts';
import { type LoadedImage, loadImage } from '../processor/image/imageSource.ts';
import { describeCut, describeSpeed, printAsItComes, showPrefill } from './answering.node.ts';
import type { LineInput } from './lineInput.node.ts';
import { UsageError } from './options.node.ts';
import type { Progress } from './progress.node.ts';
import { oneLine } from './text.ts';
import { ThinkingStyle } from './thinking.ts';

export const COMMANDS_HELP = `  /image FILE    PNG or JPEG, shown before the next question; may be given several times
  /undo          takes the last question back, with its pictures and its answer
  /reset         begins a new conversation
  /help          this list
  /exit          ends the chat, as the end of the input does

Ctrl-C stops an answer; at the prompt it ends the chat. A space before a line makes it a question,
whatever it begins with.
`;

export interface Talk {
  readonly chat: Pick<Chat, 'send' | 'undo'>;
  readonly input: LineInput;
  readonly progress: Progress;
  /** Whether thinking is dimmed. */
  readonly styled: boolean;
  /** Ends the conversation, and an answer that is under way. */
  readonly signal: AbortSignal;
}

/**
 * Takes lines until there are no more. A person is told what is wrong with one and may try another; a script ends with it.
 *
 * @throws UsageError: an unknown command, or a wrong argument; else as `loadImage` and `Chat.send`
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
    pictures.push(await loadImage(argument, name)); // now: a mistyped path is told at once
  } else if (name === '/undo') {
    progress.line(chat.undo() ? 'took the last question and its answer back' : 'nothing to take back');
  } else if (name === '/reset') {
    while (chat.undo()); // the caches stay: what they hold of the next conversation is not computed again
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
    progress.line('stopped; the conversation is as it was before this question');
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

/** Whether another question may go well: it is the question that is wrong, neither a flag, nor the model, nor the GPU. */
function isMendable(error: unknown): error is Error {
  if (error instanceof GenerationError) return error.code !== 'GEN_RANGE';
  return [UsageError, ImageError, InputError, PromptError].some((kind) => error instanceof kind);
}
