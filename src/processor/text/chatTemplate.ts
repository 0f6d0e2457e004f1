/** The alternative to the built-in prompt: the checkpoint's own Jinja template. */
import { Environment, Interpreter, Template } from '@huggingface/jinja';
import { type ErrorCode, PromptError } from '../../errors.ts';
import { type Message, partsOf } from './messages.ts';
import { IMAGE_PLACEHOLDER, messageText } from './prompt.ts';

/** Characters of a rendered prompt, and elements of a `range()`. */
const MAX_PROMPT_LENGTH = 4_000_000;
const MAX_RANGE = 100_000;

export interface ChatTemplateOptions {
  readonly addGenerationPrompt: boolean;
  /** Further variables for the template, such as `bos_token` or `enable_thinking`. */
  readonly variables?: Readonly<Record<string, unknown>>;
}

/** A message's content as templates see it: one text, or parts. */
type TemplateContent = string | readonly TemplatePart[];
type TemplatePart = { type: 'text'; text: string } | { type: 'image'; image: string };

/**
 * Renders the prompt like the reference with `use_system=False`.
 *
 * There are two kinds of templates. Some iterate over a message's parts. Others concatenate `message.content` with other text;
 * given a list of parts they would print it as JSON (in Python they raise TypeError). To find out which kind it is, the template
 * is first rendered with a marker as text. The second kind then gets each message as one text with `<image>` in place.
 *
 * The size of the result and of a `range()` is limited, but the time is not: a template with nested loops can block this thread.
 * Run untrusted templates in a worker with a deadline.
 *
 * @param template Jinja text; null if the checkpoint has none
 * @param messages as returned by `checkMessages`
 * @returns the prompt, with images not yet expanded
 * @throws PromptError TEMPLATE_MISSING; TEMPLATE_SYNTAX (it does not parse, or uses something that the engine does not support);
 *   TEMPLATE_RAISED (its own raise_exception); TEMPLATE_TOO_LARGE (over 4 M characters, or a range over 100,000)
 *
 * Follows: processing_bailing_qwen2_5.py, apply_chat_template
 */
export function renderChatTemplate(
  template: string | null,
  messages: readonly Message[],
  options: ChatTemplateOptions,
): string {
  if (template === null) {
    throw promptError('TEMPLATE_MISSING', 'the checkpoint has no chat template', {
      hint: 'use the built-in prompt, or give a template',
    });
  }
  const program = parseTemplate(template);
  const contentOf = takesParts(program, messages, options) ? templateParts : messageText;
  return run(program, messages, contentOf, options);
}

type Program = Template['parsed'];

function parseTemplate(template: string): Program {
  try {
    return new Template(template).parsed;
  } catch (cause) {
    throw promptError('TEMPLATE_SYNTAX', `the chat template does not parse (${(cause as Error).message})`, {
      cause,
    });
  }
}

const MARKER = 'probe of the content format';
const PRINTED_AS_JSON = new RegExp(`"text"\\s*:\\s*"${MARKER}`);

function takesParts(program: Program, messages: readonly Message[], options: ChatTemplateOptions): boolean {
  const marked = (message: Message): TemplateContent => [
    ...templateParts(message).filter((part) => part.type !== 'text'),
    { type: 'text', text: MARKER },
  ];
  try {
    const rendered = run(program, messages, marked, options);
    return rendered.includes(MARKER) && !PRINTED_AS_JSON.test(rendered);
  } catch {
    return false; // if parts are not the reason, the second rendering fails too and says why
  }
}

/** A message's parts without pixels and paths, which a template must not see. A clip counts as an image, as in prompt.ts. */
function templateParts(message: Message): TemplatePart[] {
  return partsOf(message).map((part) =>
    part.type === 'text' ? { type: 'text', text: part.text } : { type: 'image', image: IMAGE_PLACEHOLDER },
  );
}

/** Distinguishes an exception raised by the template from an error of the engine, which throws plain `Error` for both. */
class RaisedByTemplate extends Error {}
class RangeTooLong extends Error {}

function run(
  program: Program,
  messages: readonly Message[],
  contentOf: (message: Message) => TemplateContent,
  { addGenerationPrompt, variables = {} }: ChatTemplateOptions,
): string {
  const names = {
    true: true,
    True: true,
    false: false,
    False: false,
    none: null,
    None: null,
    range: cappedRange,
    raise_exception: (message: unknown) => {
      throw new RaisedByTemplate(String(message));
    },
    ...variables,
    messages: messages.map((message) => ({ role: message.role, content: contentOf(message) })),
    add_generation_prompt: addGenerationPrompt,
  };
  let prompt: string;
  try {
    const environment = new Environment();
    for (const [name, value] of Object.entries(names)) environment.set(name, value);
    prompt = String(new Interpreter(environment).run(program).value);
  } catch (cause) {
    throw renderingError(cause as Error);
  }
  if (prompt.length > MAX_PROMPT_LENGTH) throw tooLarge(`writes ${prompt.length} characters`);
  return prompt;
}

function renderingError(cause: Error): PromptError {
  if (cause instanceof RaisedByTemplate) {
    return promptError('TEMPLATE_RAISED', `the chat template refuses these messages: ${cause.message}`, {
      cause,
    });
  }
  if (cause instanceof RangeTooLong) return tooLarge(cause.message, cause);
  // The messages of V8, SpiderMonkey and JavaScriptCore for a string that is too long.
  if (/string length|allocation size overflow|out of memory/i.test(cause.message)) {
    return tooLarge('writes more than fits in a string', cause);
  }
  return promptError('TEMPLATE_SYNTAX', `the chat template can't be rendered (${cause.message})`, { cause });
}

function cappedRange(first: number, second?: number, step = 1): number[] {
  const [start, stop] = second === undefined ? [0, first] : [first, second];
  const length = Math.max(0, Math.ceil((stop - start) / step));
  if (!(length <= MAX_RANGE)) throw new RangeTooLong(`asks for a range of ${length} numbers`);
  return Array.from({ length }, (_, i) => start + i * step);
}

function tooLarge(what: string, cause?: Error): PromptError {
  return promptError('TEMPLATE_TOO_LARGE', `the chat template ${what}`, {
    cause,
    hint: `the limits are ${MAX_PROMPT_LENGTH} characters and ranges of ${MAX_RANGE}`,
  });
}

function promptError(
  code: ErrorCode,
  message: string,
  details: { hint?: string; cause?: unknown },
): PromptError {
  return new PromptError(code, message, details);
}
