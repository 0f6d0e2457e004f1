/** `m2 generate`: asks a model one question and streams the answer to stdout. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ImageError } from '../errors.ts';
import type { GenerateProgress, GenerationResult } from '../model/generation/generateOptions.ts';
import type { M2Reasoning } from '../model/m2Reasoning.ts';
import { type ImageSource, loadImage } from '../processor/image/imageSource.ts';
import { checkMessages } from '../processor/text/checkMessages.ts';
import type { Message } from '../processor/text/messages.ts';
import { describeCut, describeSpeed, loadModel, printAsItComes, showPrefill } from './answering.node.ts';
import { BUNDLED_MODEL, firstExample } from './bundledModel.node.ts';
import {
  CHOOSING_FLAGS,
  CHOOSING_HELP,
  choosingOptions,
  SINGLE_ANSWER_FLAGS,
  SINGLE_ANSWER_HELP,
} from './choosing.node.ts';
import type { Command } from './command.ts';
import { nonEmptyPath, oneOf, onlyPositional, parseFlags, UsageError } from './options.node.ts';
import { openProgress, type Progress } from './progress.node.ts';
import { formatSeconds } from './text.ts';

const HELP = `m2 generate [--model DIR] [--image FILE]... [--frames DIR] [QUESTION]

Answers a question, by default greedily. The answer goes to stdout, everything else to stderr.
Without a question, the bundled model answers its first example.

  --model DIR               checkpoint folder; default: the bundled m2-tiny
  --image FILE              PNG or JPEG before the question; may be given several times
  --frames DIR              a clip after the images: all PNG and JPEG files of a folder, ordered by
                            name; all must have the same size
  --system TEXT             a system message before the question
  --prompt-template NAME    reference (default): the published prompt
                            jinja: the chat template of the checkpoint
${CHOOSING_HELP}${SINGLE_ANSWER_HELP}  --quirks NAME             reference (default): several images misplaced as in the published code
                            fixed: each in its own place
  --json                    JSON events on stdout, one per line, instead of text
  --precision NAME          exact (default), or fast: the decoder in 8-bit integers with half the
                            memory, and the vision tower in f16 if the GPU supports it; answers
                            may differ
  --quiet                   no messages on stderr except errors

Events of --json, in this order:
  {"event":"model", adapter, folder, warnings}
  {"event":"prompt", promptTokens}       before the first token is chosen
  {"event":"text", text}                 for each piece of the answer
  {"event":"result", text, think, answer, boxed, wellFormed, finishReason, tokens, timings,
   adapter, model, warnings}             and logprobs, with --logprobs
`;

const FLAGS = {
  model: { type: 'string' },
  image: { type: 'string', multiple: true },
  frames: { type: 'string' },
  system: { type: 'string' },
  'prompt-template': { type: 'string' },
  ...CHOOSING_FLAGS,
  ...SINGLE_ANSWER_FLAGS,
  quirks: { type: 'string' },
  precision: { type: 'string' },
  json: { type: 'boolean' },
  quiet: { type: 'boolean' },
} as const;

interface Question {
  readonly text: string;
  readonly images: readonly string[]; // paths
  readonly frames: readonly string[]; // paths, of one clip
  readonly system?: string;
}

export const generate: Command = { help: HELP, run };

async function run(args: readonly string[], signal: AbortSignal): Promise<number> {
  const { values, positionals } = parseFlags(args, FLAGS);
  const options = {
    promptTemplate: oneOf('--prompt-template', values['prompt-template'], ['reference', 'jinja']),
    quirks: oneOf('--quirks', values.quirks, ['reference', 'fixed']),
    ...choosingOptions(values),
    signal,
  };
  if (values.logprobs !== undefined && !values.json) {
    throw new UsageError('--logprobs needs --json');
  }
  const folder = nonEmptyPath('--model', values.model) ?? BUNDLED_MODEL;
  const { model: given, image: images, system } = values;
  const frames = await framePaths(nonEmptyPath('--frames', values.frames));
  const text = onlyPositional(positionals, 'question');
  const question = await questionOf(given, { text, images, frames, system });
  const messages = messagesOf(question, await readPictures(question));
  const precision = oneOf('--precision', values.precision, ['exact', 'fast']);

  const progress = openProgress(values.quiet ?? false);
  const model = await loadModel(folder, { precision }, progress, signal);
  try {
    const { warnings, gpu } = model;
    if (values.json) printEvent('model', { adapter: gpu.description, folder, warnings });
    const seen = [...question.images, ...question.frames];
    progress.line(`asking: ${[...seen, JSON.stringify(question.text)].join(', ')}`);
    const onProgress = (done: GenerateProgress) => {
      showPrefill(done, progress);
      const { stage, promptTokens } = done;
      if (values.json && stage === 'prepared') printEvent('prompt', { promptTokens });
    };
    const answer = model.generate(messages, { ...options, onProgress });
    if (values.json) {
      for await (const text of answer) printEvent('text', { text });
    } else {
      await printAsItComes(answer, progress);
    }
    const result = await answer.result;
    summarise(result, progress);
    if (values.json) printEvent('result', describeResult(result, model, folder));
  } finally {
    progress.clear();
    await model.destroy();
  }
  return 0;
}

/** The question from the flags; the bundled model's first example if there are none. */
async function questionOf(model: string | undefined, asked: Partial<Question>): Promise<Question> {
  const { text, images = [], frames = [], system } = asked;
  if (text !== undefined) return { text, images, frames, system };
  if ([model, asked.images, asked.frames, system].some((value) => value !== undefined)) {
    throw new UsageError('the question is missing; give it as the last argument, in quotes');
  }
  const example = await firstExample();
  return { text: example.question, images: [example.image], frames, system: example.system };
}

/**
 * The paths of the images in a folder, ordered by name. They are decoded later, one at a time, to save memory.
 *
 * @throws ImageError IMAGE_NOT_FOUND if there is no such folder, or no image in it
 */
async function framePaths(folder: string | undefined): Promise<string[] | undefined> {
  if (folder === undefined) return undefined;
  const names = await readdir(folder).catch((cause) => {
    const message = `--frames (${folder}): can't be read as a folder`;
    throw new ImageError('IMAGE_NOT_FOUND', message, { hint: 'check the path', cause });
  });
  const pictures = names.filter((name) => /\.(png|jpe?g)$/i.test(name)).sort();
  if (pictures.length > 0) return pictures.map((name) => join(folder, name));
  const hint = 'give a folder with .png or .jpg files';
  throw new ImageError('IMAGE_NOT_FOUND', `--frames (${folder}): no images in this folder`, { hint });
}

/** Loads the images before the weights, which may take long, to report a wrong path immediately. */
async function readPictures(question: Question): Promise<ImageSource[]> {
  checkMessages(messagesOf(question, question.images)); // checks their number before any is decoded
  const pictures: ImageSource[] = [];
  for (const path of question.images) pictures.push(await loadImage(path, '--image'));
  return pictures;
}

function messagesOf({ text, frames, system }: Question, images: readonly ImageSource[]): Message[] {
  const pictures = images.map((image) => ({ type: 'image' as const, image }));
  const clips = frames.length === 0 ? [] : [{ type: 'video' as const, frames }];
  const asked: Message = { role: 'user', content: [...pictures, ...clips, { type: 'text', text }] };
  return system === undefined ? [asked] : [{ role: 'system', content: system }, asked];
}

function printEvent(event: string, fields: object): void {
  process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);
}

function summarise(result: GenerationResult, progress: Progress): void {
  const { promptTokens, prepareMs, prefillMs } = result.timings;
  for (const warning of result.warnings) progress.line(`warning: ${warning}`);
  progress.line(`prompt: ${promptTokens} tokens in ${formatSeconds(prepareMs + prefillMs)}`);
  progress.line(`answer: ${describeSpeed(result.timings)}${describeCut(result)}`);
}

function describeResult(result: GenerationResult, model: M2Reasoning, folder: string) {
  const warnings = [...model.warnings, ...result.warnings];
  return { ...result, adapter: model.gpu.description, model: folder, warnings };
}
