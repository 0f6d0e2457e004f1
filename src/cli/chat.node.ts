/** `m2 chat`: a conversation with a model, typed at a terminal or read from a script. */
import { loadModel } from './answering.node.ts';
import { BUNDLED_MODEL } from './bundledModel.node.ts';
import { CHOOSING_FLAGS, CHOOSING_HELP, choosingOptions } from './choosing.node.ts';
import type { Command } from './command.ts';
import { COMMANDS_HELP, converse } from './conversation.node.ts';
import { LineInput } from './lineInput.node.ts';
import { nonEmptyPath, oneOf, parseFlags, positiveInteger, UsageError } from './options.node.ts';
import { openProgress } from './progress.node.ts';

const HELP = `m2 chat [--model DIR]

A conversation: every line of stdin is a question. Answers are streamed to stdout, everything else
goes to stderr. If stdin is a pipe or a file, the first error ends the chat with that error's exit
code. On a terminal, reasoning is dimmed unless NO_COLOR is set.

${COMMANDS_HELP}
  --model DIR               checkpoint folder; default: the bundled m2-tiny
  --system TEXT             a system message before the first question
  --context N               maximum tokens of the whole conversation; default 4096
  --prompt-template NAME    reference (default): the published prompt
                            jinja: the chat template of the checkpoint
${CHOOSING_HELP}  --quirks NAME             fixed (default): each of several images in its own place
                            reference: misplaced as in the published code
  --precision NAME          exact (default), or fast: the decoder in 8-bit integers with half the
                            memory, and the vision tower in f16 if the GPU supports it; answers
                            may differ
  --quiet                   no messages on stderr except errors and the input prompt
`;

const FLAGS = {
  model: { type: 'string' },
  system: { type: 'string' },
  context: { type: 'string' },
  'prompt-template': { type: 'string' },
  ...CHOOSING_FLAGS,
  quirks: { type: 'string' },
  precision: { type: 'string' },
  quiet: { type: 'boolean' },
} as const;

export const chat: Command = { help: HELP, run };

async function run(args: readonly string[], signal: AbortSignal): Promise<number> {
  const { values, positionals } = parseFlags(args, FLAGS);
  if (positionals.length > 0) {
    const extra = JSON.stringify(positionals[0]);
    throw new UsageError(`chat takes flags only, got ${extra}; questions are lines of stdin`);
  }
  const options = {
    system: values.system,
    context: positiveInteger('--context', values.context),
    promptTemplate: oneOf('--prompt-template', values['prompt-template'], ['reference', 'jinja']),
    quirks: oneOf('--quirks', values.quirks, ['reference', 'fixed']) ?? 'fixed',
    ...choosingOptions(values),
  };
  if (options.generation === 'reference-default') {
    throw new UsageError('--preset reference-default uses 5 beams, but a chat has one');
  }
  const folder = nonEmptyPath('--model', values.model) ?? BUNDLED_MODEL;
  const styled = process.stdout.isTTY === true && !process.env.NO_COLOR;
  const precision = oneOf('--precision', values.precision, ['exact', 'fast']);

  const progress = openProgress(values.quiet ?? false);
  const model = await loadModel(folder, { precision }, progress, signal);
  try {
    const chat = model.chat(options);
    const input = new LineInput(signal);
    try {
      await converse({ chat, input, progress, styled, signal });
    } finally {
      input.close();
      await chat.destroy();
    }
  } finally {
    progress.clear();
    await model.destroy();
  }
  return 0;
}
