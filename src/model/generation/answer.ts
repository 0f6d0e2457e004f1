/** The parts of an answer in the format that M2-Reasoning was trained on. */
export interface ParsedAnswer {
  /** The text between `<think>` and `</think>`, trimmed; null if there is no `<think>`. */
  readonly think: string | null;
  /** The text between `<answer>` and `</answer>`, trimmed; null if there is no `<answer>`. */
  readonly answer: string | null;
  /** The content of the last `\boxed{…}` with balanced braces; null if there is none. */
  readonly boxed: string | null;
  /** Whether the text is one closed `<think>` part, then one closed `<answer>` part with a box. */
  readonly wellFormed: boolean;
}

/** Splits an answer into its parts. A part without its closing tag runs to the end of the text. */
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
