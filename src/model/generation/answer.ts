/** The parts of an answer in the form that M2-Reasoning was trained on. */
export interface ParsedAnswer {
  /** Between `<think>` and `</think>`, trimmed; null where there is none. */
  readonly think: string | null;
  /** Between `<answer>` and `</answer>`, trimmed. */
  readonly answer: string | null;
  /** Inside the last `\boxed{…}` whose braces balance. */
  readonly boxed: string | null;
  /** One `<think>` part, then one `<answer>` part, each closed, with a box in the answer. */
  readonly wellFormed: boolean;
}

/** Takes an answer apart. A part that is cut off or missing is null, or runs to the end of the text when only its end is missing. */
export function parseAnswer(text: string): ParsedAnswer {
  const think = between(text, '<think>', '</think>');
  const answer = between(text, '<answer>', '</answer>');
  const boxed = lastBoxed(answer ?? text);
  const inOrder = /^\s*<think>.*<\/think>\s*<answer>.*<\/answer>\s*(<\|im_end\|>)?\s*$/s.test(text);
  const once = ['<think>', '</think>', '<answer>', '</answer>'].every((tag) => text.split(tag).length === 2);
  return {
    think,
    answer,
    boxed,
    wellFormed: inOrder && once && answer !== null && lastBoxed(answer) !== null,
  };
}

function between(text: string, open: string, close: string): string | null {
  const start = text.indexOf(open);
  if (start < 0) return null;
  const end = text.indexOf(close, start);
  return text.slice(start + open.length, end < 0 ? undefined : end).trim();
}

function lastBoxed(text: string): string | null {
  const marker = '\\boxed{';
  for (
    let start = text.lastIndexOf(marker);
    start >= 0;
    start = start > 0 ? text.lastIndexOf(marker, start - 1) : -1
  ) {
    let depth = 1;
    for (let i = start + marker.length; i < text.length; i++) {
      if (text[i] === '{') depth++;
      if (text[i] === '}') depth--;
      if (depth === 0) return text.slice(start + marker.length, i);
    }
  }
  return null;
}
